"""The frame of every write: its headers and parameters in, one of three answers out.

200 with a receipt (a grant was given and its effect is committed), 202 with an address (it became a proposed command),
200 with a preview (`dryRun`).
"""

from typing import Annotated

from fastapi import Depends, Header, Query, Response

from domain.base import Frozen, Slug, digest_of
from domain.errors import Conflict, Invalid
from domain.outcomes import EffectReceipt
from domain.runtime_api import PreviewAnswer, ProposedAnswer
from runtime.api.caller import Access
from runtime.writes import Answer, Preview, Proposed, Write

WriteAnswer = EffectReceipt | PreviewAnswer | ProposedAnswer


class Frame(Frozen):
    """The headers and parameters that every write takes."""

    key: str | None
    grant: str | None
    if_match: int | None
    dry_run: bool
    trace: str | None


def frame(
    idempotency_key: Annotated[Slug | None, Header()] = None,
    opsmesh_grant: Annotated[str | None, Header(max_length=4096)] = None,
    if_match: Annotated[str | None, Header(max_length=40)] = None,
    traceparent: Annotated[str | None, Header(max_length=64)] = None,
    dry_run: Annotated[bool, Query(alias="dryRun")] = False,  # noqa: FBT002  # a query parameter
) -> Frame:
    """Read a write's frame. A grant without an idempotency key is Invalid."""
    if opsmesh_grant is not None and idempotency_key is None and not dry_run:
        raise Invalid("a granted write needs its Idempotency-Key", reason="key_missing")
    return Frame(
        key=idempotency_key, grant=opsmesh_grant, if_match=_version(if_match), dry_run=dry_run, trace=traceparent
    )


Framed = Annotated[Frame, Depends(frame)]


def write_of(here: Access, framed: Frame, route: str, body: Frozen, rationale: str) -> Write:
    """Return what is written where by whom. Route and body make the digest that an idempotency key is held to."""
    said = body.model_dump(mode="json", exclude={"rationale"})
    return Write(
        tenant=here.tenant,
        environment=here.environment,
        principal=here.who.id,
        request=digest_of({"route": route, "body": said}),
        key=framed.key,
        grant=framed.grant,
        if_match=framed.if_match,
        dry_run=framed.dry_run,
        rationale=rationale,
        trace=framed.trace,
    )


def check_match(framed: Frame, version: int) -> None:
    """Hold a write to its If-Match, where it says one. Raises Conflict."""
    if framed.if_match is not None and framed.if_match != version:
        raise Conflict("the document is at another version", reason="version_mismatch")


def answer(response: Response, given: Answer) -> WriteAnswer:
    """Turn the door's answer into the API's, with its status and headers."""
    match given:
        case Preview():
            response.headers["ETag"] = f'"{given.version}"'
            return PreviewAnswer(changes=given.changes, version=given.version)
        case Proposed():
            response.status_code = 202
            response.headers["Location"] = given.location
            return ProposedAnswer(location=given.location)
        case EffectReceipt():
            if given.version is not None:
                response.headers["ETag"] = f'"{given.version}"'
            return given


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    text = if_match.strip('"')
    if not text.isdecimal():
        raise Invalid("If-Match must be the ETag of the desired state", reason="etag_invalid")
    return int(text)
