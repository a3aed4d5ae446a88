"""Builds sdist and wheel twice from the tracked files, and keeps them if both builds are equal, byte for byte.

Run it as `make dist`. Times are SOURCE_DATE_EPOCH, by default that of the last commit; the sdist is packed anew with
them, since setuptools takes times and owners from the disk.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def epoch() -> int:
    """The time that all files get: the environment's SOURCE_DATE_EPOCH, or the last commit's."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    return int(stated or _git("log", "-1", "--format=%ct"))


def tracked() -> list[str]:
    """Files under version control, relative to the root."""
    return [name for name in _git("ls-files", "-z").split("\0") if name and (ROOT / name).is_file()]


def built(names: list[str], out: Path, time: int) -> list[Path]:
    """Builds both from a copy of some files that holds nothing else, so that no older build joins in.

    Args:
      names: Relative to the root.
      out: Folder for the results.
      time: In seconds since 1970.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in names:
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o644)
            os.utime(target, (time, time))
        command = [sys.executable, "-m", "build", "--outdir", str(out), str(tree)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time), "PYTHONHASHSEED": "0"}
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    (sdist,) = out.glob("*.tar.gz")
    sdist.write_bytes(repacked(sdist.read_bytes(), time))
    return sorted(out.iterdir())


def repacked(content: bytes, time: int) -> bytes:
    """The same archive with its files in order, of one time and no owner."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=time) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda own: own.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = time, 0, 0, "", ""
            member.mode, member.pax_headers = (0o755 if member.isdir() else 0o644), {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def main() -> None:
    """Builds twice, compares, and moves the files to dist/."""
    time, names = epoch(), tracked()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        own, other = built(names, Path(first), time), built(names, Path(second), time)
        differing = [a.name for a, b in zip(own, other, strict=True) if a.read_bytes() != b.read_bytes()]
        if differing:
            raise SystemExit(f"two builds differ: {', '.join(differing)}")
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in own:
            shutil.copyfile(path, ROOT / "dist" / path.name)
            sys.stdout.write(f"dist/{path.name}: two builds are equal\n")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
