"""Errors of ours as problem+json, the same answer for what is missing and what is another tenant's."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from domain.errors import Broken, NotFound, OpsmeshError, Unauthenticated
from domain.problems import PROBLEM_MEDIA_TYPE, FieldProblem, Problem, told_as_problems

_LOG = logging.getLogger(__name__)


def problem(status: int, detail: str, reason: str, fields: tuple[FieldProblem, ...] = ()) -> Response:
    """Return one problem+json answer."""
    body = Problem(
        type=f"urn:opsmesh:problem:{reason}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        fields=fields,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return Response(body.model_dump_json(exclude_defaults=True), status, headers, PROBLEM_MEDIA_TYPE)


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


async def _ours(request: Request, error: Exception) -> Response:
    match error:
        case NotFound():
            return problem(404, "no such thing within your reach", "not_found")
        case Unauthenticated():
            return problem(401, "a valid bearer token is needed", "unauthenticated")
        case OpsmeshError() if not isinstance(error, Broken):
            # RFC 9110: an If-Match that does not hold is 412, every other conflict 409.
            status = HTTPStatus.PRECONDITION_FAILED if error.reason == "version_mismatch" else error.status
            return problem(status, str(error), error.reason)
        case _:
            return await _unexpected(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return await _unexpected(request, error)
    fields = tuple(
        FieldProblem(where=".".join(str(part) for part in row["loc"]), what=str(row["msg"])) for row in error.errors()
    )
    return problem(422, "the request does not fit its schema", "invalid", fields)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _unexpected(request, error)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, phrase, phrase.lower().replace(" ", "_"))


async def _unexpected(_request: Request, error: Exception) -> Response:
    _LOG.error("unexpected error", exc_info=error)
    return problem(500, "something of ours is broken; it was recorded", "broken")
