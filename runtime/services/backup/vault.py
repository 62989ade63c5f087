"""The vault: where archives lie, region by region, each a SQLite file of one tenant's rows sealed with AES-256-GCM.

Beside it lies, sealed as well, the digest of every row as it was read from the store a second time: what a trial
restore is held to. Files appear whole or not at all, and what was acknowledged outlives a loss of power.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import TypeAdapter

from domain.backup import RestorePoint, StoreCut
from domain.errors import Invalid, Unavailable
from domain.ports import Entropy
from runtime.services.backup.content import Index
from runtime.stores.ports import Content, Key
from runtime.trust.files import write_private

NONCE_BYTES = 12
"""As AES-GCM has it (NIST SP 800-38D, 8.2): drawn anew for every file."""
_INDEX: TypeAdapter[dict[str, dict[str, str]]] = TypeAdapter(dict[str, dict[str, str]])


@dataclass(frozen=True, slots=True)
class Vault:
    """Sealed archives under one folder."""

    home: Path
    entropy: Entropy

    def store(self, point: RestorePoint, store: str, content: Content, index: Index, key: Key) -> bytes:
        """Seal one store's rows and their digests; return the sealed archive."""
        sealed = self._seal(point, f"{store}.db", _database(content), key)
        self._seal(point, f"{store}.rows", json.dumps(index, sort_keys=True).encode(), key)
        return sealed

    def content(self, point: RestorePoint, cut: StoreCut, secret: bytes, into: Path) -> Content:
        """Restore one store's rows into a SQLite file at `into` and read them.

        Raises Invalid where the archive is gone, altered, or no database.
        """
        name = f"{cut.store}.db"
        plain = self._open(point, name, secret, cut.archive)
        with _reachable():
            write_private(into, plain)
        try:
            with closing(sqlite3.connect(into)) as connection:
                rows = cast("list[tuple[str, str, str]]", connection.execute("SELECT * FROM rows").fetchall())
        except sqlite3.DatabaseError as error:
            raise Invalid(f"{name} is no readable database: {error}", reason="archive_damaged") from error
        content: dict[str, dict[str, str]] = {table: {} for table in cut.tables}
        for table, key, text in rows:
            content.setdefault(table, {})[key] = text
        return content

    def index(self, point: RestorePoint, cut: StoreCut, secret: bytes) -> Mapping[str, Mapping[str, str]]:
        """Return the digest of every row at the cut. Raises Invalid where it is gone or altered."""
        return _INDEX.validate_json(self._open(point, f"{cut.store}.rows", secret, None))

    def drop(self, point: RestorePoint) -> None:
        """Remove a point's files."""
        shutil.rmtree(self._folder(point), ignore_errors=True)

    def held(self) -> tuple[Path, ...]:
        """Return the folder of every point there are files of; its name is the point's id."""
        return tuple(sorted(self.home.glob("*/*/*")))

    def _folder(self, point: RestorePoint) -> Path:
        return self.home / point.region / point.tenant / point.id

    def _seal(self, point: RestorePoint, name: str, plain: bytes, key: Key) -> bytes:
        nonce = self.entropy.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, plain, f"{point.id}/{name}".encode())
        with _reachable():
            write_private(self._folder(point) / f"{name}.sealed", sealed)
        return sealed

    def _open(self, point: RestorePoint, name: str, secret: bytes, digest: str | None) -> bytes:
        path = self._folder(point) / f"{name}.sealed"
        with _reachable():
            if not path.exists():
                raise Invalid(f"{name} is gone from {point.region}", reason="archive_missing")
            sealed = path.read_bytes()
        if digest not in (None, digest_of_bytes(sealed)):
            raise Invalid(f"{name} is not the file that was sealed: its digest differs", reason="archive_altered")
        try:
            return AESGCM(secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{point.id}/{name}".encode())
        except (InvalidTag, ValueError) as error:
            raise Invalid(f"{name} does not open: its seal is broken", reason="archive_altered") from error


@contextmanager
def _reachable() -> Generator[None]:
    """A disk that is full or gone may be there again later: Unavailable."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the vault did not answer: {error.strerror}", reason="vault_unavailable") from error


def digest_of_bytes(data: bytes) -> str:
    """Return `sha256:<hex>` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _database(content: Content) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (tab TEXT, key TEXT, row TEXT, PRIMARY KEY (tab, key)) WITHOUT ROWID")
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?, ?)",
            [(table, key, text) for table, rows in content.items() for key, text in rows.items()],
        )
        connection.commit()
        return connection.serialize()
