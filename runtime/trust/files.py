"""Files of a runtime's home: written whole or not at all and for good, private ones readable by their owner alone.

A certificate's versions lie side by side, each a folder of its own; `installed` is a link to one of them, and to move
it is one step of the file system: a reader finds the old pair of key and chain or the new one, never half of each.
"""

import os
import shutil
from pathlib import Path

PRIVATE, PUBLIC = 0o600, 0o644
KEPT = 2
"""Versions kept besides the installed one: the one before it, to roll back to, and one that is being made."""


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody but the owner may read."""
    _write(path, content, PRIVATE)


def write_public(path: Path, content: bytes) -> None:
    """Write a file anybody on this machine may read, in a folder only the owner may enter."""
    _write(path, content, PUBLIC)


def flush_folder(folder: Path) -> None:
    """Make names that came or went last as well as what the files hold (fsync(2))."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _made(folder: Path) -> None:
    """Make a folder and those above it that are missing, each name for good."""
    if not folder.is_dir():
        _made(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_folder(folder.parent)


def _write(path: Path, content: bytes, mode: int) -> None:
    _made(path.parent)
    half = path.with_name(f".{path.name}.half")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    flush_folder(path.parent)


class Versions:
    """The versions of one thing in a folder, and which of them is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, version: str) -> Path:
        """Return the folder of a version; it need not exist."""
        return self._folder / "versions" / version

    def installed(self) -> str | None:
        """Return the installed version."""
        link = self._folder / "installed"
        return link.readlink().name if link.is_symlink() else None

    def install(self, version: str) -> None:
        """Point `installed` at a version, in one step."""
        half = self._folder / ".installed.half"
        half.unlink(missing_ok=True)
        half.symlink_to(Path("versions") / version)
        half.replace(self._folder / "installed")

    def prune(self) -> None:
        """Remove all but the installed version and the newest others; a private key is not kept for its own sake."""
        installed = self.installed()
        every = sorted((self._folder / "versions").iterdir(), key=lambda p: p.stat().st_mtime_ns)
        for old in [p for p in every if p.name != installed][: -(KEPT - 1)]:
            shutil.rmtree(old)
