"""One mapping from the error families to RFC 9457 problem answers, used by every router of this surface.

A problem never repeats what it was sent and never says why an object is out of reach: the answer for another tenant's
object and for one that does not exist is the same, byte for byte.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from domain.errors import Broken, NotFound, OpsmeshError, Unauthenticated, Unavailable
from domain.problems import PROBLEM_MEDIA_TYPE, FieldProblem, Problem, told_as_problems

RETRY_AFTER_S = 5
"""When to repeat a call to a part that did not answer: our choice, a third of the store's busy timeout."""
PRECONDITIONS = frozenset({"version_mismatch", "no_version"})
"""Reasons for which an If-Match does not hold: 412 (RFC 9110), where every other conflict is 409."""
_LOG = logging.getLogger(__name__)


def problem(
    status: int,
    detail: str,
    *,
    reason: str,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem+json response."""
    body = Problem(
        type=f"urn:opsmesh:problem:{reason}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        fields=tuple(fields),
    )
    return Response(
        body.model_dump_json(exclude_defaults=True), status_code=status, media_type=PROBLEM_MEDIA_TYPE, headers=headers
    )


def problem_of(error: OpsmeshError) -> Response:
    """Return the answer for an error of ours. A broken invariant is told to the log, not to the caller."""
    if isinstance(error, NotFound):
        return problem(error.status, "no such thing within your reach", reason="not_found")
    if isinstance(error, Unauthenticated):
        return problem(
            401, "a valid bearer token is needed", reason="unauthenticated", headers={"WWW-Authenticate": "Bearer"}
        )
    if isinstance(error, Broken) or type(error) is OpsmeshError:
        _LOG.error("broken invariant: %s", error, exc_info=error)
        return problem(500, "something of ours is broken; it was recorded", reason="broken")
    if isinstance(error, Unavailable):
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        return problem(error.status, str(error), reason=error.reason, headers=retry)
    status = HTTPStatus.PRECONDITION_FAILED if error.reason in PRECONDITIONS else error.status
    return problem(status, str(error), reason=error.reason)


def fields_of(error: RequestValidationError | ValidationError) -> tuple[FieldProblem, ...]:
    """Return where and what, dropping the rejected values."""
    found = error.errors() if isinstance(error, RequestValidationError) else error.errors(include_input=False)
    return tuple(FieldProblem(where=".".join(str(part) for part in row["loc"]), what=str(row["msg"])) for row in found)


def install_problems(app: FastAPI) -> None:
    """Make every error that leaves a route a problem+json answer, and let the published document say so."""
    published = app.openapi

    def openapi() -> dict[str, Any]:
        document = published()
        told_as_problems(document)
        return document

    app.openapi = openapi  # FastAPI's own way to extend its document
    app.add_exception_handler(OpsmeshError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_request: Request, error: Exception) -> Response:
    return problem_of(error) if isinstance(error, OpsmeshError) else await _unexpected(_request, error)


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return await _unexpected(_request, error)
    fields = fields_of(error)
    if any(row["type"] == "json_invalid" for row in error.errors()):
        return problem(400, "the body is not JSON", reason="malformed", fields=fields)
    return problem(422, "the request does not fit its schema", reason="invalid", fields=fields)


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _unexpected(_request, error)
    phrase = HTTPStatus(error.status_code).phrase
    reason = "too_large" if error.status_code == 413 else phrase.lower().replace(" ", "_")
    return problem(error.status_code, error.detail or phrase, reason=reason, headers=error.headers)


async def _unexpected(_request: Request, error: Exception) -> Response:
    _LOG.error("unexpected error", exc_info=error)
    return problem(500, "something of ours is broken; it was recorded", reason="broken")
