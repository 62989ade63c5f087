"""The writes: each is framed the same way, goes through the door, and comes back as one of three answers.

200 with a receipt (a grant was given and its effect is committed), 202 with an address (it became a proposed command),
200 with a preview (`dryRun`).
"""

# the environment in every path is read by the `access` dependency

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from domain.base import Frozen, Slug, digest_of
from domain.errors import Invalid
from domain.outcomes import EffectReceipt
from domain.runtime_api import PatchBody, PreviewAnswer, ProposedAnswer, RestartBody, TicketBody
from domain.topology import EntityRef
from runtime.api.caller import Access, MayWrite, Services
from runtime.meaning import Meaning
from runtime.writes import Answer, Preview, Proposed, Write

router = APIRouter(prefix="/runtime/environments/{environment}", tags=["writes"])
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


@router.patch("/desired-state", responses={202: {"model": ProposedAnswer}})
async def patch_desired_state(
    runtime: Services, here: MayWrite, framed: Framed, body: PatchBody, response: Response
) -> WriteAnswer:
    """Write fields of the desired state."""
    write = _write(here, framed, "desired-state", body, body.rationale)
    return _answer(response, await runtime.door.patch(write, body.patches, here.view))


@router.post("/operations", responses={202: {"model": ProposedAnswer}})
async def post_operation(
    runtime: Services, here: MayWrite, framed: Framed, body: RestartBody, response: Response
) -> WriteAnswer:
    """Do an operation without lasting state."""
    write = _write(here, framed, "operations", body, body.rationale)
    meaning = Meaning(
        kind="service.restart",
        arguments={"service": body.service, "reason": body.reason},
        target=EntityRef(kind="service", id=body.service),
    )
    return _answer(response, await runtime.door.operate(write, meaning, here.view))


@router.post("/tickets", responses={202: {"model": ProposedAnswer}})
async def post_ticket(
    runtime: Services, here: MayWrite, framed: Framed, body: TicketBody, response: Response
) -> WriteAnswer:
    """Tell the owner of something what is wrong and which action is missing."""
    write = _write(here, framed, "tickets", body, body.rationale)
    meaning = Meaning(
        kind="ticket.open",
        arguments=body.model_dump(mode="json", exclude={"rationale"}),
        target=EntityRef(kind="environment", id=here.environment),
    )
    return _answer(response, await runtime.door.operate(write, meaning, here.view))


def _write(here: Access, framed: Frame, route: str, body: Frozen, rationale: str) -> Write:
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


def _answer(response: Response, answer: Answer) -> WriteAnswer:
    match answer:
        case Preview():
            response.headers["ETag"] = f'"{answer.version}"'
            return PreviewAnswer(changes=answer.changes, version=answer.version)
        case Proposed():
            response.status_code = 202
            response.headers["Location"] = answer.location
            return ProposedAnswer(location=answer.location)
        case EffectReceipt():
            if answer.version is not None:
                response.headers["ETag"] = f'"{answer.version}"'
            return answer


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    text = if_match.strip('"')
    if not text.isdecimal():
        raise Invalid("If-Match must be the ETag of the desired state", reason="etag_invalid")
    return int(text)
