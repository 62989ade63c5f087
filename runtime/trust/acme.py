"""An issuer over ACME (RFC 8555) with HTTP challenges, and its wish when to be asked again (ARI, RFC 9773).

The account key lies in the runtime's home. What the server says decides: a refusal is Invalid, a rate limit or an
outage Unavailable, and the operation that asked tries again later.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, Field, JsonValue

from domain.base import TimeRange, UtcDatetime
from domain.errors import Invalid, OpsmeshError, Refused, Unavailable
from runtime.trust.challenges import HttpChallenges
from runtime.trust.files import write_private
from runtime.trust.jose import b64, public_jwk, signed, thumbprint
from runtime.trust.leaves import Key, key_pem, leaf_of, new_key, read_key

_POLLS, _POLL_S = 30, 1.0
"""Half a minute for one check or one signature: public servers answer within seconds."""
_NONCE_TRIES = 8
"""A nonce may be used up by somebody else; each refusal brings another (RFC 8555, 6.5). Real servers refuse rarely; a
test server that refuses one in five still fails less than once in 300,000 requests."""
_LATER = frozenset({"rateLimited", "serverInternal"})


class _Directory(BaseModel):
    new_nonce: str = Field(alias="newNonce")
    new_account: str = Field(alias="newAccount")
    new_order: str = Field(alias="newOrder")
    renewal_info: str | None = Field(default=None, alias="renewalInfo")


class _Challenge(BaseModel):
    type: str
    url: str
    token: str = ""


class _Authorization(BaseModel):
    status: str
    challenges: tuple[_Challenge, ...]


class _Order(BaseModel):
    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None = None


M = TypeVar("M", _Order, _Authorization)


class _Window(BaseModel):
    start: UtcDatetime
    end: UtcDatetime


class _RenewalInfo(BaseModel):
    suggested: _Window = Field(alias="suggestedWindow")


class AcmeIssuer:
    """An Issuer. `trust` is what its HTTPS certificate is checked with, `roots` (PEM) what it signs leads to."""

    def __init__(
        self,
        directory: str,
        home: Path,
        challenges: HttpChallenges,
        *,
        trust: ssl.SSLContext,
        roots: bytes,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory, self._home, self._challenges = directory, home, challenges
        self._roots, self._pause = roots, pause
        self._http = httpx.AsyncClient(verify=trust, timeout=10.0)
        self._at: _Directory | None = None
        self._account: str | None = None
        self._nonce: str | None = None

    async def issue(self, request: bytes, *, at: datetime, lifetime: timedelta) -> bytes:
        """Order, answer the challenges, finalise, fetch. The server's profile decides how long it lasts."""
        del at, lifetime
        asked = x509.load_pem_x509_csr(request)
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted: list[JsonValue] = [{"type": "dns", "value": n} for n in names.get_values_for_type(x509.DNSName)]
        at_url = await self._enrolled()
        answer = await self._post(at_url.new_order, {"identifiers": wanted})
        where, order = answer.headers["Location"], _Order.model_validate_json(answer.content)
        for authorization in order.authorizations:
            await self._prove(authorization)
        await self._post(order.finalize, {"csr": b64(asked.public_bytes(Encoding.DER))})
        done = await self._until(where, _Order, "valid")
        if done.certificate is None:
            raise Unavailable("the order has no certificate yet", reason="acme_pending")
        return (await self._post(done.certificate, None)).content

    async def renewal(self, chain: bytes, *, at: datetime) -> TimeRange | None:
        """Return the server's suggested window; None where it has no such service or does not know the certificate."""
        del at
        where = (await self._found()).renewal_info
        if where is None:
            return None
        leaf = leaf_of(chain)
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""
        serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
        answer = await self._http.get(f"{where}/{b64(authority)}.{b64(serial)}")
        if answer.status_code != HTTPStatus.OK:
            return None
        window = _RenewalInfo.model_validate_json(answer.content).suggested
        return TimeRange(start=window.start, end=window.end)

    def anchors(self) -> bytes:
        """Return the roots it was made with."""
        return self._roots

    def takes_identities(self) -> bool:
        """Public issuers sign host names only."""
        return False

    def signs_as(self) -> str:
        """Return where it is: it chooses its issuing certificates itself."""
        return self._directory

    def distrusted(self) -> tuple[str, ...]:
        """Return none: what it signed and no longer counts, browsers and its own revocation say."""
        return ()

    def distrust(self) -> None:
        """Refuse: that is not ours to say of a public issuer."""
        raise Refused("an ACME server's issuing certificates are its own", reason="issuer_foreign")

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _found(self) -> _Directory:
        if self._at is None:
            try:
                answer = await self._http.get(self._directory)
            except httpx.TransportError as error:
                raise Unavailable("the ACME server does not answer", reason="acme_gone") from error
            self._at = _Directory.model_validate_json(answer.content)
        return self._at

    async def _enrolled(self) -> _Directory:
        at = await self._found()
        if self._account is None:
            answer = await self._post(at.new_account, {"termsOfServiceAgreed": True})
            self._account = answer.headers["Location"]
        return at

    async def _prove(self, where: str) -> None:
        """Let the server find the token's answer under the name it asks for."""
        authorization = _Authorization.model_validate_json((await self._post(where, None)).content)
        if authorization.status == "valid":
            return
        challenge = next((c for c in authorization.challenges if c.type == "http-01"), None)
        if challenge is None:
            raise Invalid("the server offers no HTTP challenge", reason="acme_challenge")
        with self._challenges.answering(challenge.token, f"{challenge.token}.{thumbprint(self._key())}"):
            await self._post(challenge.url, {})
            await self._until(where, _Authorization, "valid")

    async def _until(self, where: str, form: type[M], status: str) -> M:
        """Poll until it has the status. Raises Invalid where it never will, Unavailable where it takes too long."""
        for _ in range(_POLLS):
            seen = form.model_validate_json((await self._post(where, None)).content)
            if seen.status == status:
                return seen
            if seen.status == "invalid":
                raise Invalid("the ACME server found a challenge not answered", reason="acme_challenge")
            await self._pause(_POLL_S)
        raise Unavailable("the ACME server is not done yet", reason="acme_pending")

    def _key(self) -> Key:
        held = self._home / "account.key"
        if not held.exists():
            write_private(held, key_pem(new_key()))
        return read_key(held.read_bytes())

    async def _post(self, url: str, payload: dict[str, JsonValue] | None) -> httpx.Response:
        key = self._key()
        for _ in range(_NONCE_TRIES):
            who: dict[str, JsonValue] = (
                {"jwk": dict(public_jwk(key))} if self._account is None else {"kid": self._account}
            )
            header = {"nonce": await self._fresh(), "url": url, **who}
            try:
                answer = await self._http.post(
                    url, content=signed(key, header, payload), headers={"Content-Type": "application/jose+json"}
                )
            except httpx.TransportError as error:
                raise Unavailable("the ACME server does not answer", reason="acme_gone") from error
            self._nonce = answer.headers.get("Replay-Nonce")
            if answer.status_code < HTTPStatus.BAD_REQUEST:
                return answer
            if not _kind(answer).endswith("badNonce"):
                raise _refusal(answer)
        raise Unavailable("the ACME server takes no nonce", reason="acme_nonce")

    async def _fresh(self) -> str:
        nonce, self._nonce = self._nonce, None
        if nonce is None:
            nonce = str((await self._http.head((await self._found()).new_nonce)).headers["Replay-Nonce"])
        return nonce


def _kind(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("type", ""))
    except ValueError:
        return ""


def _refusal(answer: httpx.Response) -> OpsmeshError:
    """The family of a problem document (RFC 8555, 6.7); its text is somebody else's and is not repeated."""
    kind = _kind(answer).rpartition(":")[2] or str(answer.status_code)
    if kind in _LATER or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"the ACME server asks to try later: {kind}", reason="acme_later")
    return Invalid(f"the ACME server refused: {kind}", reason="acme_refused")
