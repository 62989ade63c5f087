"""Answers kept under idempotency keys: one request per caller and key, and the same answer again.

A key is claimed before the request does anything. Should the process die in between, the claim stays open and a second
request is told so: what may have happened is never done again blindly. An answer is sealed with the caller's token,
which is stored nowhere, so that a token in it can be read by nobody else.
"""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, select, update

from domain.errors import Conflict
from domain.idempotency import KeptAnswer, KeyClaim
from domain.ports import Clock
from governance.sealing import NONCE_BYTES
from storage.engine import Database
from storage.inserts import insert_once
from storage.tables.answers import kept_answers

_NONCE = bytes(NONCE_BYTES)
"""A fixed one: every row has a cipher key of its own, under which one answer is sealed, once."""


class KeptAnswers:
    """Claims keys and keeps answers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, claim: KeyClaim) -> KeptAnswer | None:
        """Claim a key for a request; return the answer that it was given before, None where the key is new.

        Raises Conflict where another request came under the key, or where this one's answer cannot be told again.
        """
        row = {"id": _name(claim), "request": claim.request, "at": self._clock.now()}
        with self._database.begin() as connection:
            if insert_once(connection, kept_answers, row):
                return None
            columns = (kept_answers.c.request, kept_answers.c.sealed)
            held = connection.execute(select(*columns).where(kept_answers.c.id == row["id"])).one()
        if held.request != claim.request:
            raise Conflict("the idempotency key was used for another request", reason="key_reused")
        if held.sealed is None:
            raise Conflict(
                "a request under this idempotency key is under way, or ended unheard: look before you ask anew",
                reason="key_open",
            )
        try:
            text = _cipher(claim).decrypt(_NONCE, held.sealed, None)
        except InvalidTag:
            raise Conflict(
                "the request was done when you asked with another token, which its answer is sealed with",
                reason="key_sealed",
            ) from None
        return KeptAnswer.model_validate_json(text)

    def keep(self, claim: KeyClaim, answer: KeptAnswer) -> None:
        """Keep the answer that a claimed request was given."""
        sealed = _cipher(claim).encrypt(_NONCE, answer.model_dump_json().encode(), None)
        fresh = (kept_answers.c.id == _name(claim)) & kept_answers.c.sealed.is_(None)
        with self._database.begin() as connection:
            connection.execute(update(kept_answers).where(fresh).values(sealed=sealed))

    def release(self, claim: KeyClaim) -> None:
        """Let the key be used again: the request was refused and changed nothing."""
        fresh = (kept_answers.c.id == _name(claim)) & kept_answers.c.sealed.is_(None)
        with self._database.begin() as connection:
            connection.execute(delete(kept_answers).where(fresh))


def _name(claim: KeyClaim) -> str:
    return hashlib.sha256(f"{claim.holder}\x1f{claim.key}".encode()).hexdigest()


def _cipher(claim: KeyClaim) -> AESGCM:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=_name(claim).encode(), info=b"kept answer")
    return AESGCM(derive.derive(claim.secret.encode()))
