"""The body of every error answer of every HTTP surface (RFC 9457), written once for servers and clients."""

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
