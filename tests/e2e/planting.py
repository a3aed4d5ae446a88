"""Values planted in rows, and a search for them in all that a command leaves behind: text, JSON, npz, Parquet, ..."""

import datetime as dt
import decimal
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ["PLANTED-level-7f3a91", "PLANTED-open-é5b02", "PLANTED-unit-99d4", "PLANTED-left-out-c813"]
NUMBERS = [73913.0625, 91357.140625, 48_201_937]
DECIMAL = decimal.Decimal("60417.93")
MOMENT = dt.datetime(1987, 3, 17, 4, 5, 6)
MICROS = int(MOMENT.replace(tzinfo=dt.timezone.utc).timestamp() * 1e6)

COLUMNS = {
    "amount": {"type": "float", "lower": 0, "upper": 100_000, "nullable": True},
    "code": {"type": "integer", "lower": 0, "upper": 100_000_000},
    "price": {"type": "float", "lower": 0, "upper": 99_999},
    "seen": {"type": "timestamp", "lower": "1980-01-01", "upper": "2020-01-01", "parts": ["hour"]},
    "level": {"type": "categorical", "values": ["p", "q"], "nullable": True},
    "place": {"type": "categorical", "values": "open"},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}


def planted_rows(n_rows=400):
    """Ordinary rows, and a few that hold what must never leave; Arrow."""
    rng = np.random.default_rng(3)
    later = [dt.datetime(2000, 1, 1) + dt.timedelta(hours=i) for i in range(n_rows - 2)]
    text = [TEXTS[3]] * 3 + ["ordinary"] * (n_rows - 3)
    return pa.table(
        {
            "amount": pa.array([*NUMBERS[:2], *rng.uniform(0, 90_000, n_rows - 2)]),
            "code": pa.array([NUMBERS[2]] * 2 + rng.integers(0, 9, n_rows - 2).tolist(), pa.int64()),
            "price": pa.array([DECIMAL] * 2 + [decimal.Decimal(int(x)) for x in rng.integers(0, 50, n_rows - 2)]),
            "seen": pa.array([MOMENT, MOMENT, *later]),
            "level": pa.array([TEXTS[0]] * 2 + rng.choice(["p", "q"], n_rows - 2).tolist()),
            "place": pa.array([TEXTS[1]] * 2 + rng.choice(["here", "there"], n_rows - 2).tolist()),
            "patient": pa.array([TEXTS[2]] * 2 + [f"u{i}" for i in range(n_rows - 2)]),
            "note": pa.array(text),
            "died": pa.array(rng.choice(["no", "yes"], n_rows).tolist()),
        }
    )  # fmt: skip


def _spellings():
    plain = [*TEXTS, *map(str, NUMBERS), f"{NUMBERS[2]:,}", str(DECIMAL), "1987-03-17", str(MICROS)]
    found = {text: [text.encode(), text.encode("utf-16-le")] for text in plain}
    for number in NUMBERS[:2]:
        found[f"{number} in binary"] = [struct.pack("<d", number), struct.pack(">d", number)]
    found["time in binary"] = [struct.pack("<q", MICROS)]
    return found


SPELLINGS = _spellings()


def planted_in(content):
    """Names the planted values that some bytes or text hold."""
    content = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return [name for name, forms in SPELLINGS.items() if any(form in content for form in forms)]


def files_with_planted(folder):
    """Searches every file of a folder: its bytes, and what compressed formats hold once they are read."""
    found = {}
    for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        names = planted_in(str(file)) + planted_in(file.read_bytes())
        for content in _read(file):
            names += planted_in(content)
        if names:
            found[str(file.relative_to(folder))] = sorted(set(names))
    return found


def _read(file):
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        yield str(pq.read_metadata(file).to_dict())
        yield "\n".join(str(cell) for column in table.columns for cell in column.to_pylist())
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as held:
            yield from (held.read(name) for name in held.namelist())
