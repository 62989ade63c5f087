"""Bearer tokens: 256 random bits with a public look-up part. What is stored is their SHA-256; the token is shown once.

A random secret of this size cannot be guessed, so a plain hash suffices where a password would need a slow one.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from domain.ports import Entropy

_LOOKUP_BYTES = 8
"""64 bits: no two of a billion tokens collide by chance worth naming."""
_SECRET_BYTES = 32
_FORM = re.compile(r"ops_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"no such token").digest()


@dataclass(frozen=True, slots=True)
class Minted:
    """A fresh token with what may be stored of it."""

    token: str
    lookup: str
    secret_hash: bytes


def mint(entropy: Entropy) -> Minted:
    """Return a new token `ops_<lookup>_<secret>`."""
    lookup = entropy.token_bytes(_LOOKUP_BYTES).hex()
    secret = base64.urlsafe_b64encode(entropy.token_bytes(_SECRET_BYTES)).decode().rstrip("=")
    return Minted(token=f"ops_{lookup}_{secret}", lookup=lookup, secret_hash=_hash(secret))


def lookup_of(token: str) -> str | None:
    """Return the public part of a well-formed token, None of anything else."""
    match = _FORM.fullmatch(token)
    return match.group(1) if match else None


def matches(token: str, stored: bytes | None) -> bool:
    """Compare in constant time; an unknown token takes as long as a wrong one."""
    match = _FORM.fullmatch(token)
    presented = _hash(match.group(2)) if match else _hash("")
    return hmac.compare_digest(presented, stored if stored is not None else _NOBODY)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
