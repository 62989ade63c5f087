"""Checkpoints of audit chains and the anchor file that keeps them outside the database.

A checkpoint says how many records a tenant's chain had and what its head was, signed with Ed25519. Who rewrites the
database but holds neither the key nor this file cannot make a shorter or different chain agree with it.
"""

import fcntl
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from domain.base import Digest, Frozen, UtcDatetime, canonical_json
from domain.errors import Unavailable
from domain.ids import TenantId
from governance.keys import signed_by, sync_folder


class Checkpoint(Frozen):
    """The head of one chain at one instant. `seq` is also the count of records."""

    tenant: TenantId
    seq: int
    digest: Digest
    at: UtcDatetime
    signature: str = ""
    """Hex Ed25519 over the canonical JSON of the other fields."""

    def signed(self, key: Ed25519PrivateKey) -> "Checkpoint":
        """Return the checkpoint with its signature."""
        return self.model_copy(update={"signature": key.sign(self._message()).hex()})

    def genuine(self, key: Ed25519PublicKey) -> bool:
        """Tell whether the signature is the key's."""
        return signed_by(key, self.signature, self._message())

    def _message(self) -> bytes:
        return b"opsmesh audit checkpoint 1\n" + canonical_json(self.model_dump(mode="json", exclude={"signature"}))


class AnchorFile:
    """Append-only JSON lines; each append is locked, written whole and synced before it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, checkpoints: tuple[Checkpoint, ...]) -> None:
        """Add the checkpoints durably."""
        text = "".join(json.dumps(c.model_dump(mode="json"), sort_keys=True) + "\n" for c in checkpoints)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write((b"" if _ends_line(file.fileno()) else b"\n") + text.encode())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._path.parent)
        except OSError as error:
            raise Unavailable(f"the anchor cannot be written: {error.strerror}", reason="anchor_unavailable") from error

    def read(self) -> tuple[tuple[Checkpoint, ...], int]:
        """Return the checkpoints and how many lines are unreadable (a crash may tear one)."""
        if not self._path.exists():
            return (), 0
        found: list[Checkpoint] = []
        torn = 0
        for line in self._path.read_bytes().splitlines():
            try:
                found.append(Checkpoint.model_validate_json(line))
            except ValidationError:
                torn += bool(line.strip())
        return tuple(found), torn

    def exists(self) -> bool:
        """Tell whether anything was ever anchored here."""
        return self._path.exists()


def _ends_line(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size == 0 or os.pread(handle, 1, size - 1) == b"\n"
