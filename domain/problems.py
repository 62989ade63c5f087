"""The body of every error answer of every HTTP surface (RFC 9457), written once for servers and clients."""

from pydantic import JsonValue

from domain.base import Frozen

PROBLEM_MEDIA_TYPE = "application/problem+json"


class FieldProblem(Frozen):
    """One field that was not accepted: where it is and what is wrong, without its value."""

    where: str
    what: str


class Problem(Frozen):
    """`reason` is a stable slug for programs, `detail` is for people; neither repeats what was sent."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    fields: tuple[FieldProblem, ...] = ()


def told_as_problems(document: JsonValue) -> None:
    """In an OpenAPI document, let every error answer of ours be of the problem media type. Changes it in place."""
    paths = document.get("paths") if isinstance(document, dict) else None
    for operations in paths.values() if isinstance(paths, dict) else ():
        for operation in operations.values() if isinstance(operations, dict) else ():
            responses = operation.get("responses") if isinstance(operation, dict) else None
            for status, response in responses.items() if isinstance(responses, dict) else ():
                content = response.get("content") if isinstance(response, dict) and status >= "400" else None
                if isinstance(content, dict) and "application/json" in content:
                    content[PROBLEM_MEDIA_TYPE] = content.pop("application/json")
