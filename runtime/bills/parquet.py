"""Parquet exports as rows of text, read by a process of their own that has bounded memory and time.

What leaves that process is what a CSV export of the same bill says, so everything after it is the same for both.
"""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, BinaryIO, Final, cast

from domain.errors import Invalid

MAGIC: Final = b"PAR1"
ROW_BYTES: Final = 1 << 24
"""One row as JSON may be longer than it counts for; the reader of lines judges the rest."""
_READER: Final = (sys.executable, "-P", "-m", "runtime.bills.parquet_rows")


def is_parquet(stream: BinaryIO) -> bool:
    """Tell by its first bytes; the stream stands at its beginning before and after."""
    begins = stream.read(len(MAGIC))
    stream.seek(0)
    return begins == MAGIC


def rows(stream: BinaryIO, wanted: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yield the names of the wanted columns that are there, then the texts of each row, `most` + 1 at most.

    Raises Invalid where the file is damaged, asks for too much, or has a wanted column of a type that loses digits.
    """
    with _on_disk(stream) as file, _reader(file, wanted, most) as said:
        count = -1
        while raw := said.readline(ROW_BYTES):
            match _heard(raw):
                case [*texts]:
                    count += 1
                    yield texts
                case {"rows": int(told)} if told == count:
                    return
                case {"refused": str(why)}:
                    raise Invalid(why, reason="parquet_refused")
                case _:
                    break
    raise Invalid("not readable as Parquet within bounded memory and time", reason="parquet_unreadable")


def _heard(raw: bytes) -> list[str] | dict[str, int | str] | None:
    try:
        return cast("list[str] | dict[str, int | str]", json.loads(raw))
    except ValueError:
        return None


@contextmanager
def _on_disk(stream: BinaryIO) -> Generator[IO[bytes]]:
    """Give a file that another process can read: the stream itself or a copy."""
    try:
        stream.fileno()
    except io.UnsupportedOperation:
        with tempfile.TemporaryFile() as copy:
            copy.write(stream.read())
            copy.seek(0)
            yield copy
    else:
        yield stream


@contextmanager
def _reader(file: IO[bytes], wanted: Sequence[str], most: int) -> Generator[IO[bytes]]:
    command = (*_READER, str(most), *wanted)
    with subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield cast("IO[bytes]", child.stdout)
        finally:
            child.kill()
