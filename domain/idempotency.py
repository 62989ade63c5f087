"""Idempotency keys of HTTP writes: what a key is held to, and the answer that is given again under it.

A key belongs to who sent it: nobody else's key is ever the same one, whatever it reads.
"""

from pydantic import Field

from domain.base import Digest, Frozen
from domain.ids import PrincipalId


class KeyClaim(Frozen):
    """One caller's request under one key."""

    holder: PrincipalId
    key: str
    request: Digest
    """Over method, address and body: the same key with another one is a conflict."""
    secret: str = Field(repr=False)
    """The caller's own token, with which the kept answer is sealed: an answer may hold a token in the clear."""


class KeptAnswer(Frozen):
    """An answer as it went out."""

    status: int
    headers: dict[str, str]
    body: str = Field(repr=False)
