"""Key files: made on first start, mode 0600 in a 0700 folder, never in the database.

Two processes that start at once agree: a key is written to a private file and linked into place, the first link wins.
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.errors import Broken, Unavailable


class KeyRing:
    """The keys of one installation: a master secret and Ed25519 signing keys by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose, derived from the master secret by HKDF (RFC 5869)."""
        master = self._load("master.key", lambda: AESGCM.generate_key(256))
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(master)

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """Return the private key of that name, made when there is none."""
        raw = self._load(f"{name}.ed25519", _fresh_signing_key)
        return Ed25519PrivateKey.from_private_bytes(raw)

    def _load(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self._folder / name
        try:
            if not path.exists():
                self._create(path, make())
            if path.stat().st_mode & 0o077:
                raise Broken(f"{path} is readable by others; set its mode to 0600", reason="key_exposed")
            raw = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"the key {name} cannot be read: {error.strerror}", reason="key_unavailable") from error
        if len(raw) != KEY_BYTES:
            raise Broken(f"{path} holds {len(raw)} bytes instead of {KEY_BYTES}", reason="key_damaged")
        return raw

    def _create(self, path: Path, raw: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = path.with_name(f".{path.name}.{os.getpid()}")
        private.unlink(missing_ok=True)
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(private, path)
        except FileExistsError:
            pass  # another process was first; its key is the key
        finally:
            private.unlink()
        sync_folder(self._folder)


KEY_BYTES = 32
"""Ed25519 seeds (RFC 8032) and AES-256 keys are both 32 bytes."""


def _fresh_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """Return the public half as PEM, for whoever verifies."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def signed_by(key: Ed25519PublicKey, signature_hex: str, message: bytes) -> bool:
    """Tell whether the hex signature over the message is the key's."""
    try:
        key.verify(bytes.fromhex(signature_hex), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make new names in the folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
