"""Whom a tenant trusts: publishers' public keys in one file per tenant, trusted and revoked by name and never implied.

The file is its owner's only, replaced as a whole, under a lock. A revoked key stays revoked.
"""

import base64
import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field, ValidationError

from domain.base import Digest, Frozen, UtcDatetime
from domain.errors import Broken, Invalid, NotFound, Refused
from domain.ids import TenantId
from runtime.marketplace.envelope import key_id

KEY_BYTES = 32
"""RFC 8032: an Ed25519 public key."""
MAX_KEYS = 100


def _raw_key(text: str) -> str:
    if len(base64.b64decode(text, validate=True)) != KEY_BYTES:
        msg = "not a raw Ed25519 public key"
        raise ValueError(msg)
    return text


class TrustedKey(Frozen):
    """One publisher's key and since when it counts."""

    name: str = Field(min_length=1, max_length=100)
    """The publisher, as the tenant knows it."""
    public_key: Annotated[str, AfterValidator(_raw_key)]
    """The 32 raw bytes in base 64."""
    trusted_at: UtcDatetime
    revoked_at: UtcDatetime | None = None

    @property
    def raw(self) -> bytes:
        """The key itself."""
        return base64.b64decode(self.public_key)

    @property
    def id(self) -> Digest:
        """The key's digest, by which it is named."""
        return key_id(self.raw)


class Trust(Frozen):
    """All keys of a tenant."""

    keys: tuple[TrustedKey, ...] = Field(default=(), max_length=MAX_KEYS)

    def publisher(self, signers: frozenset[str]) -> TrustedKey:
        """Return the trusted key among the signers. Raises Refused: revoked, or unknown."""
        known = [key for key in self.keys if key.id in signers]
        if good := [key for key in known if key.revoked_at is None]:
            return good[0]
        if known:
            raise Refused(f"the key of {known[0].name} was revoked", reason="pack_key_revoked")
        raise Refused("no key that this tenant trusts signed the pack", reason="pack_signer_unknown")


class TrustStore:
    """The trust files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, tenant: TenantId) -> Trust:
        """Return a tenant's keys, none where nobody was ever trusted. Raises Broken for a damaged file."""
        try:
            return Trust.model_validate_json(self._path(tenant).read_bytes())
        except FileNotFoundError:
            return Trust()
        except ValidationError as error:
            raise Broken(f"the trust file of {tenant} cannot be read", reason="trust_damaged") from error

    def trust(self, tenant: TenantId, name: str, public_raw: bytes, at: datetime) -> TrustedKey:
        """Trust a key; trusting it again changes nothing. Raises Refused for one that was revoked."""
        key = TrustedKey(name=name, public_key=base64.b64encode(public_raw).decode(), trusted_at=at)

        def add(trust: Trust) -> tuple[Trust, TrustedKey]:
            known = next((k for k in trust.keys if k.id == key.id), None)
            if known is None:
                return Trust(keys=(*trust.keys, key)), key
            if known.revoked_at is not None:
                raise Refused(f"the key was revoked on {known.revoked_at:%Y-%m-%d}", reason="pack_key_revoked")
            return trust, known

        return self._change(tenant, add)

    def revoke(self, tenant: TenantId, key: str, at: datetime) -> TrustedKey:
        """Revoke a key by id or publisher's name, for good. Raises NotFound; Invalid where the name is of several."""

        def end(trust: Trust) -> tuple[Trust, TrustedKey]:
            found = [k for k in trust.keys if key in {k.id, k.name}]
            if not found:
                raise NotFound("no such key is trusted")
            if len(found) > 1:
                raise Invalid("several keys have that name: give the key's id", reason="key_ambiguous")
            ended = found[0] if found[0].revoked_at else found[0].model_copy(update={"revoked_at": at})
            return Trust(keys=tuple(ended if k.id == ended.id else k for k in trust.keys)), ended

        return self._change(tenant, end)

    def _change(self, tenant: TenantId, change: Callable[[Trust], tuple[Trust, TrustedKey]]) -> TrustedKey:
        with self._locked():
            after, key = change(self.read(tenant))
            part = self._path(tenant).with_suffix(".part")
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(after.model_dump_json(indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path(tenant))
        return key

    @contextmanager
    def _locked(self) -> Generator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _path(self, tenant: TenantId) -> Path:
        # quoted: a slash in a name must not lead elsewhere; no name begins with a dot
        return self._folder / f"{quote(tenant, safe='')}.json"
