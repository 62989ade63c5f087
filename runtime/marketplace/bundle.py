"""The bytes of a pack, read into memory from a folder or one archive; nothing is ever unpacked to disk.

Names are checked and sizes are bounded while reading, before any byte is believed: a refusal costs at most the limits.
"""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from domain.errors import Invalid, NotFound, Refused
from runtime.marketplace.manifest import ENVELOPE, MAX_FILE_BYTES, MAX_FILES, MAX_PACK_BYTES, safe_path

Bundle = dict[str, bytes]
"""Contents by safe relative name."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip entry can hold: the same pack gives the same archive."""


def read_bundle(path: Path) -> Bundle:
    """Read a pack's files. Raises Refused for unsafe names, links and sizes, Invalid for damage, NotFound."""
    if path.is_symlink():
        raise Refused(f"{path.name} is a link", reason="pack_link")
    if not path.exists():
        raise NotFound(f"no such pack: {path}", reason="pack_missing")
    return _collected(_folder(path, path)) if path.is_dir() else _archive(path)


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write a pack as an archive when the path ends in `.zip`, else as a folder. Raises Invalid when it exists."""
    if path.exists():
        raise Invalid(f"{path} exists; give another name", reason="file_exists")
    if path.suffix != ".zip":
        for name, raw in bundle.items():
            (path / safe_path(name)).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(raw)
        return
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in sorted(bundle.items()):
            info = zipfile.ZipInfo(safe_path(name), _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, raw, zipfile.ZIP_DEFLATED)


def _collected(files: Iterable[tuple[str, IO[bytes]]]) -> Bundle:
    """Read files one by one, within the limits per file, in all and in number."""
    bundle: Bundle = {}
    seen: set[str] = set()
    for name, handle in files:
        with handle:
            _check_name(name, seen)
            raw = handle.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise Refused(f"{name} is over {MAX_FILE_BYTES} bytes", reason="pack_oversize")
        bundle[name] = raw
        if len(bundle) > MAX_FILES + (ENVELOPE in bundle):
            raise Refused(f"the pack has over {MAX_FILES} files", reason="pack_oversize")
        if sum(map(len, bundle.values())) > MAX_PACK_BYTES:
            raise Refused(f"the pack is over {MAX_PACK_BYTES} bytes", reason="pack_oversize")
    return bundle


def _check_name(name: str, seen: set[str]) -> None:
    try:
        safe_path(name)
    except ValueError as error:
        raise Refused(str(error), reason="pack_path_unsafe") from error
    if name.casefold() in seen:
        raise Refused(f"two files are named {name}", reason="pack_path_unsafe")
    seen.add(name.casefold())


def _folder(root: Path, folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with os.scandir(folder) as entries:
        found = list(islice(entries, MAX_FILES + 2))
    if len(found) > MAX_FILES + 1:
        raise Refused(f"a folder of the pack has over {MAX_FILES} entries", reason="pack_oversize")
    for entry in sorted(found, key=lambda e: e.name):
        name = Path(entry.path).relative_to(root).as_posix()
        if entry.is_dir(follow_symlinks=False):
            _check_name(name, set())
            yield from _folder(root, Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            # the entry may have become a link or a pipe since it was looked at
            yield name, os.fdopen(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        else:
            raise Refused(f"{name} is a link or no plain file", reason="pack_link")


def _archive(path: Path) -> Bundle:
    if path.stat().st_size > MAX_PACK_BYTES:
        raise Refused(f"the archive is over {MAX_PACK_BYTES} bytes", reason="pack_oversize")
    try:
        with zipfile.ZipFile(path) as archive:
            return _collected(_entries(archive))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise Invalid(f"{path} is no readable archive", reason="pack_archive_invalid") from error


def _entries(archive: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in archive.infolist():
        # the library cuts names at a NUL: the name as written counts
        if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG} or info.orig_filename.endswith("/"):
            raise Refused(f"{info.orig_filename!r} is a link or no plain file", reason="pack_link")
        if info.flag_bits & 0x1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise Refused(f"{info.orig_filename!r} is encrypted or packed oddly", reason="pack_archive_odd")
        _check_name(info.orig_filename, set())
        yield info.orig_filename, archive.open(info)
