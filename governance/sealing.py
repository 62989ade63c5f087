"""Sealing of audit texts: one key per tenant and generation, wrapped by the master key, destroyed to erase.

Encryption is AES-256-GCM whose nonce is derived from the text itself (the SIV idea), so that a rolled-back
transaction which reuses a sequence number can never reuse a nonce for another text.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from sqlalchemy import Connection, select, update

from domain.base import Digest
from domain.errors import Broken
from domain.ids import TenantId
from storage.inserts import insert_once
from storage.tables.governance import audit_keys

NONCE_BYTES = 12
"""The nonce length GCM is specified for (NIST SP 800-38D)."""


class TextKey:
    """One tenant's text key: digests, seals and opens."""

    def __init__(self, key: bytes) -> None:
        self._mac = _expand(key, b"digest")
        self._nonce = _expand(key, b"nonce")
        self._cipher = AESGCM(_expand(key, b"seal"))

    def digest(self, text: bytes, place: bytes) -> Digest:
        """Return the keyed digest of a text at its place in the chain."""
        return "sha256:" + hmac.new(self._mac, place + b"\n" + text, hashlib.sha256).hexdigest()

    def seal(self, text: bytes, place: bytes) -> bytes:
        """Return nonce and ciphertext, bound to the place."""
        nonce = hmac.new(self._nonce, place + b"\n" + text, hashlib.sha256).digest()[:NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, text, place)

    def open(self, sealed: bytes, place: bytes) -> bytes | None:
        """Return the text, or None when it was changed or belongs elsewhere."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            return None


class TextKeys:
    """Text keys by tenant and generation. Each use reads the wrapped key: shredding holds everywhere at once."""

    def __init__(self, master: bytes) -> None:
        self._master = master
        self._unwrapped: dict[bytes, TextKey] = {}

    def current(self, connection: Connection, tenant: TenantId, generation: int) -> TextKey:
        """Return the key to seal with, made when the generation has none. The caller holds the chain's lock."""
        key = self.find(connection, tenant, generation)
        if key is not None:
            return key
        wrapped = aes_key_wrap(self._master, AESGCM.generate_key(256))
        insert_once(connection, audit_keys, {"tenant": tenant, "generation": generation, "wrapped": wrapped})
        key = self.find(connection, tenant, generation)
        if key is None:
            raise Broken(f"text key {generation} of {tenant} is current but cannot be opened", reason="key_unusable")
        return key

    def find(self, connection: Connection, tenant: TenantId, generation: int) -> TextKey | None:
        """Return the key, or None when it is shredded, gone or not ours."""
        where = (audit_keys.c.tenant == tenant) & (audit_keys.c.generation == generation)
        wrapped = connection.execute(select(audit_keys.c.wrapped).where(where)).scalar_one_or_none()
        if wrapped is None:
            return None
        if wrapped not in self._unwrapped:
            try:
                self._unwrapped[wrapped] = TextKey(aes_key_unwrap(self._master, wrapped))
            except (InvalidUnwrap, ValueError):
                return None
        return self._unwrapped[wrapped]

    def shred(self, connection: Connection, tenant: TenantId) -> None:
        """Destroy every text key of the tenant: its texts can never be read again."""
        connection.execute(update(audit_keys).where(audit_keys.c.tenant == tenant).values(wrapped=None))
        self._unwrapped.clear()


def _expand(key: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=hashes.SHA256(), length=32, info=purpose).derive(key)
