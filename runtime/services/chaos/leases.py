"""Leases of injected faults, on disk before the fault happens: one append-only file each, which is its journal too.

A lease says how to take the fault back and until when somebody watches it. Whoever holds it keeps a lock on the file,
which the kernel frees when that process dies; a line that a crash tore is not counted.
"""

import fcntl
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError

from domain.base import Frozen, Slug, UtcDatetime
from domain.errors import Conflict
from domain.ids import EnvironmentId, TenantId

_SUFFIX = ".lease"
Flush = Callable[[int], None]


class Lease(Frozen):
    """What it takes to take one fault back, whoever does it."""

    handle: Slug
    environment: EnvironmentId
    tenant: TenantId
    experiment: Slug
    run: Slug
    target: str
    recipe: dict[str, JsonValue]
    until: UtcDatetime
    attempts: int = 0
    """How often it could not be taken back."""
    error: str = ""


class Entry(Frozen):
    """One line of a lease's file: the lease as it is from then on."""

    event: Literal["opened", "renewed", "stuck", "reverted"]
    at: UtcDatetime
    lease: Lease


class LeaseBook:
    """The leases in one folder. Leases that were opened here are held until they are closed or this process ends."""

    def __init__(self, folder: Path, flush: Flush = os.fsync) -> None:
        self._folder, self._flush = folder, flush
        self._held: dict[str, int] = {}
        self._dropped = weakref.finalize(self, _drop, self._held)

    def open(self, lease: Lease, at: datetime) -> None:
        """Put a new lease on disk, for good, and hold it. Raises Conflict where there is one of that handle."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.find(lease.handle) is None:
            # Torn before its first line was whole: its fault never happened.
            self._path(lease.handle).unlink(missing_ok=True)
        try:
            file = os.open(self._path(lease.handle), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError as error:
            raise Conflict(f"there is a lease {lease.handle} already", reason="lease_exists") from error
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held[lease.handle] = file
        self._append(file, Entry(event="opened", at=at, lease=lease))
        self._flush_folder()

    def renew(self, handle: str, until: datetime, at: datetime) -> bool:
        """Hold a lease for longer. False where it is not ours, is gone or ended before somebody looked again."""
        lease, file = self.find(handle), self._held.get(handle)
        if lease is None or file is None or lease.until <= at:
            return False
        self._append(file, Entry(event="renewed", at=at, lease=lease.model_copy(update={"until": until})))
        return True

    def stuck(self, handle: str, error: str, at: datetime) -> Lease | None:
        """Note that the fault could not be taken back; return the lease as it is now."""
        lease = self.find(handle)
        if lease is None:
            return None
        noted = lease.model_copy(update={"attempts": lease.attempts + 1, "error": error})
        with self._opened(handle) as file:
            self._append(file, Entry(event="stuck", at=at, lease=noted))
        return noted

    def close(self, handle: str, at: datetime) -> None:
        """Note that the fault is taken back, and let go of the lease."""
        lease = self.find(handle)
        if lease is None:
            return
        with self._opened(handle) as file:
            self._append(file, Entry(event="reverted", at=at, lease=lease))
        self._path(handle).unlink(missing_ok=True)
        self._flush_folder()
        held = self._held.pop(handle, None)
        if held is not None:
            os.close(held)

    def find(self, handle: str) -> Lease | None:
        """Return a lease, None where there is none, or where its fault is taken back already."""
        with suppress(FileNotFoundError):
            return _read(self._path(handle))
        return None

    def all(self) -> tuple[Lease, ...]:
        """Return every lease there is, by handle."""
        found = (self.find(path.name.removesuffix(_SUFFIX)) for path in sorted(self._folder.glob(f"*{_SUFFIX}")))
        return tuple(lease for lease in found if lease is not None)

    def orphaned(self, handle: str) -> bool:
        """Tell whether nobody alive holds the lease: its lock is free."""
        if handle in self._held:
            return False
        try:
            file = os.open(self._path(handle), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def _path(self, handle: str) -> Path:
        return self._folder / f"{handle}{_SUFFIX}"

    def _opened(self, handle: str) -> "_Borrowed":
        return _Borrowed(self._path(handle), self._held.get(handle))

    def _append(self, file: int, entry: Entry) -> None:
        os.write(file, entry.model_dump_json().encode() + b"\n")
        self._flush(file)

    def _flush_folder(self) -> None:
        """Make a name that came or went last as well as the file's content (fsync(2))."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            self._flush(folder)
        finally:
            os.close(folder)


class _Borrowed:
    """A file to append to: the held one, or one opened for this alone."""

    def __init__(self, path: Path, held: int | None) -> None:
        self._path, self._held, self._own = path, held, -1

    def __enter__(self) -> int:
        if self._held is not None:
            return self._held
        self._own = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        return self._own

    def __exit__(self, *_: object) -> None:
        if self._own >= 0:
            os.close(self._own)


def _read(path: Path) -> Lease | None:
    last: Entry | None = None
    for line in path.read_bytes().splitlines():
        with suppress(ValidationError):
            last = Entry.model_validate_json(line)
    return None if last is None or last.event == "reverted" else last.lease


def _drop(held: dict[str, int]) -> None:
    while held:
        os.close(held.popitem()[1])
