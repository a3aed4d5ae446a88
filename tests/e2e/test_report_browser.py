"""Pages of reports in a real browser: nothing is loaded, nothing complains, nothing overflows, all can be read."""

import json
import os
import re
import shutil
import subprocess

import pytest
from report_pages import HOSTILE, internal, public, statement

from threea_spark.privacy.terms import Accounting

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found; install one to see pages in a browser")

WIDTHS = (320, 360, 768, 1280)
MIN_CONTRAST = 4.5  # WCAG 2.2, AA, for text
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const page = PAGE, found = {frames: [], contrast: []};
function luminance(color) {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function background(node) {
  for (; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return color;
  }
  return "rgb(255, 255, 255)";
}
function contrast(node) {
  const style = getComputedStyle(node), inSvg = node.closest("svg") !== null;
  const [a, b] = [luminance(inSvg ? style.fill : style.color), luminance(background(node))].sort((x, y) => x - y);
  return (b + 0.05) / (a + 0.05);
}
for (const width of WIDTHS) {
  const frame = document.createElement("iframe"), start = performance.now();
  frame.width = width; frame.height = 800; frame.style.border = "0"; frame.srcdoc = page;
  frame.onload = () => {
    const root = frame.contentDocument.documentElement, wide = [];
    root.querySelectorAll("details").forEach(d => { d.open = true; });
    for (const node of root.querySelectorAll("body *:not(svg *)"))
      if (node.getBoundingClientRect().right > root.clientWidth + 1) wide.push(node.outerHTML.slice(0, 120));
    found.frames.push({width, scroll: root.scrollWidth, client: root.clientWidth, wide, ms: performance.now() - start,
      background: getComputedStyle(frame.contentDocument.body).backgroundColor});
    if (width === WIDTHS[0])
      for (const query of ["h1", "p", ".note", "caption", "dt", "dd", "td", "th", "summary", "footer", ".warn p",
                           ".banner p", "figcaption", "svg text", ".legend li"])
        for (const node of [...root.querySelectorAll(query)].slice(0, 3))
          found.contrast.push([query, contrast(node)]);
  };
  document.body.append(frame);
}
addEventListener("load", () => { document.title = "measured"; document.body.dataset.found = JSON.stringify(found); });
</script></body>"""


def chromium(tmp_path, *arguments):
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
        "--v=0", *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)


def measured(tmp_path, html, *, dark=False, widths=WIDTHS):
    """What the browser measured, and what it wrote on its console."""
    wrapped = MEASURE.replace("WIDTHS", json.dumps(widths)).replace("PAGE", json.dumps(html).replace("</", "<\\/"), 1)
    (tmp_path / "wrapped.html").write_text(wrapped, encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    done = chromium(tmp_path, scheme, "--dump-dom", (tmp_path / "wrapped.html").as_uri())
    (found,) = re.findall(r'data-found="([^"]*)"', done.stdout)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(found.replace("&quot;", '"').replace("&amp;", "&")), console


@pytest.fixture(scope="module")
def pages():
    return {
        "public": public(n_more=60, names=HOSTILE),
        "conditional": public(privacy=statement(accounting=Accounting.CONDITIONAL)),
        "internal": internal(n_more=2, names=HOSTILE),
    }


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["public", "conditional", "internal"])
def test_a_page_fits_every_screen_can_be_read_and_loads_nothing(pages, tmp_path, kind, dark):
    found, console = measured(tmp_path, pages[kind], dark=dark)
    assert console == []
    assert [frame["width"] for frame in sorted(found["frames"], key=lambda f: f["width"])] == list(WIDTHS)
    for frame in found["frames"]:
        assert frame["wide"] == []
        assert frame["scroll"] <= frame["client"]
        assert frame["background"] == ("rgb(20, 24, 27)" if dark else "rgb(255, 255, 255)")
    assert len(found["contrast"]) > 20
    assert [pair for pair in found["contrast"] if pair[1] < MIN_CONTRAST] == []


def test_the_browser_sees_what_is_too_wide_too_faint_or_loaded_from_elsewhere(pages, tmp_path):
    broken = pages["conditional"].replace(
        "<main>",
        '<main><div style="width:500px">wide</div><p style="color:#aaa">faint</p>'
        '<img src="https://example.invalid/x.png"><script>alert(1)</script>',
    )
    found, console = measured(tmp_path, broken, widths=(360,))
    assert found["frames"][0]["scroll"] > found["frames"][0]["client"]
    assert "wide" in found["frames"][0]["wide"][0]
    assert min(value for _, value in found["contrast"]) < MIN_CONTRAST
    text = "\n".join(console)
    assert "example.invalid" in text
    assert "script-src" in text
    assert text.count("Content Security Policy") >= 2


def test_a_page_of_six_hundred_columns_opens_within_a_second(tmp_path):
    page = public(n_more=600)
    times = []
    for attempt in ("first", "second", "third"):  # the best of three: other work may hold the machine up
        (tmp_path / attempt).mkdir()
        found, console = measured(tmp_path / attempt, page, widths=(1280,))
        assert console == []
        times.append(found["frames"][0]["ms"])
    assert min(times) < 1000.0


@pytest.fixture(scope="module")
def printed(pages, tmp_path_factory):
    """The lines of every printed page."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext found; install poppler-utils to read printed pages")
    folder, found = tmp_path_factory.mktemp("printed"), {}
    for kind, html in pages.items():
        (folder / f"{kind}.html").write_text(html, encoding="utf-8")
        chromium(folder, f"--print-to-pdf={folder / kind}.pdf", (folder / f"{kind}.html").as_uri())
        text = subprocess.run(
            ["pdftotext", "-layout", folder / f"{kind}.pdf", "-"], capture_output=True, text=True, check=True
        ).stdout
        sheets = text.rstrip("\f").split("\f")
        found[kind] = [[line.strip() for line in sheet.split("\n") if line.strip()] for sheet in sheets]
        assert len(sheets) >= 3
    return found


def test_the_banner_stands_on_every_printed_page(printed):
    for kind, sheets in printed.items():
        marked = ["INTERNAL: computed from real rows" in " ".join(sheet) for sheet in sheets]
        assert all(mark == (kind == "internal") for mark in marked), kind


@pytest.mark.parametrize("kind", ["public", "conditional"])
def test_the_summary_to_sign_fills_the_first_sheet_alone(printed, kind):
    first, second = (" ".join(sheet) for sheet in printed[kind][:2])
    for words in ("Summary for approval", "It does not cover", "Name and role", "Signature"):
        assert words in first, words
    assert "What was released" not in first
    assert "Signature" not in second


def test_no_heading_is_left_at_the_foot_of_a_sheet(pages, printed):
    for kind, sheets in printed.items():
        headings = set(re.findall(r"<h2>([^<]*)</h2>", pages[kind]))
        assert len(headings) >= 5
        feet = [line for sheet in sheets for line in sheet[-2:] if not re.fullmatch(r"[\d/ ]+|.*file:///.*", line)]
        assert not headings & set(feet), kind
