"""Where cost exports are dropped: a folder per environment, as providers deliver to a bucket. Each file is read once.

A file is named by its content's digest behind a running number, so that the same export delivered twice is one file
and files are read in the order they came.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from domain.errors import Invalid
from runtime.bills.parquet import is_parquet
from runtime.bills.reading import Quarantined, charges
from runtime.bills.records import CostRecord

FOLDER = "bills"
SUFFIXES = (".csv", ".parquet")


def deliver(file: Path, home: Path, environment: str) -> Path:
    """Put a file into the inbox below `home` in one step; return where it lies. The same content lies there once."""
    folder = _folder(home, environment)
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("rb") as stream:
        suffix = SUFFIXES[is_parquet(stream)]
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    held = waiting(home, environment)
    known = [path for path in held if path.stem.endswith(digest)]
    if known:
        return known[0]
    target = folder / f"{len(held):06}-{digest}{suffix}"
    unfinished = target.with_suffix(".part")
    shutil.copyfile(file, unfinished)
    unfinished.rename(target)
    return target


def waiting(home: Path, environment: str) -> Sequence[Path]:
    """Return the files delivered for an environment, in the order they came."""
    return sorted(path for path in _folder(home, environment).glob("*-*") if path.suffix in SUFFIXES)


def records(file: Path) -> list[CostRecord]:
    """Return the charges of a delivered file; lines that are none were told when it was delivered."""
    with file.open("rb") as stream:
        return [read[1] for read in charges(stream, file.name) if not isinstance(read, Quarantined)]


def _folder(home: Path, environment: str) -> Path:
    if not environment or environment != Path(environment).name or environment.startswith("."):
        raise Invalid("an environment is one plain name", reason="environment_invalid")
    return home / FOLDER / environment
