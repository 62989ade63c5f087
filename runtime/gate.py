"""The gate of the one door: reads a one-time grant and says why it does not open.

A grant is `GrantClaims` as an EdDSA token signed by governance; the runtime holds public keys only. Expiry is judged
by the injected clock, never by the library's.
"""

from collections.abc import Sequence
from datetime import datetime

import jwt
from jwt.types import Options
from pydantic import ValidationError

from domain.base import Digest
from domain.decisions import GRANT_AUDIENCE, GRANT_ISSUER, GrantClaims
from domain.errors import Refused
from domain.ids import EnvironmentId, TenantId

ALGORITHM = "EdDSA"
_OPTIONS: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": ["iss", "aud"],
}


class GrantGate:
    """Verifies grants against public keys in PEM form; more than one while a key is being rotated."""

    def __init__(self, public_keys: Sequence[bytes]) -> None:
        self._keys = tuple(public_keys)

    def read(self, token: str) -> GrantClaims:
        """Return the claims of a grant signed by one of the keys. Raises Refused."""
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token, key, algorithms=[ALGORITHM], issuer=GRANT_ISSUER, audience=GRANT_AUDIENCE, options=_OPTIONS
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError as error:
                raise Refused("the grant cannot be read", reason="grant_invalid") from error
            return _claims(claims)
        raise Refused("the grant is not signed by a key this runtime trusts", reason="grant_invalid")

    @staticmethod
    def check_place(grant: GrantClaims, tenant: TenantId, environment: EnvironmentId, key: str | None) -> None:
        """Raise Refused when the grant is for another tenant, environment or idempotency key."""
        if grant.tenant != tenant:
            raise Refused("the grant is for another tenant", reason="grant_tenant")
        if grant.environment != environment:
            raise Refused("the grant is for another environment", reason="grant_environment")
        if grant.idempotency_key != key:
            raise Refused("the grant is for another idempotency key", reason="grant_key")

    @staticmethod
    def check_effect(grant: GrantClaims, preview: Digest, at: datetime) -> None:
        """Raise Refused when the grant has expired or allows another effect than the one previewed now."""
        if at >= grant.expires_at:
            raise Refused("the grant has expired", reason="grant_expired")
        if grant.preview_digest != preview:
            raise Refused("the write would do something else than was allowed", reason="preview_changed")


def _claims(claims: object) -> GrantClaims:
    try:
        if isinstance(claims, dict):
            known = {k: v for k, v in claims.items() if k in GrantClaims.model_fields}  # pyright: ignore[reportUnknownVariableType]  # PyJWT returns dict[str, Any]
            return GrantClaims.model_validate(known)
    except ValidationError as error:
        raise Refused("the grant does not say what it must", reason="grant_invalid") from error
    raise Refused("the grant is no object", reason="grant_invalid")
