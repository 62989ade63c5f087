"""ResourceChange: what every preview is a list of, whichever engine made it; and typed patches on desired state.

Compliance rules, cards and digests read resource changes and nothing else.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, JsonValue

from domain.base import Digest, Frozen, digest_of

Operation = Literal["create", "update", "delete", "replace", "run", "read"]
PatchPath = tuple[str, ...]
CONTENT = "content."
"""Begins the path of a change to what lies in a resource (rows, copies of them) and is no field of its document."""


class ResourceChange(Frozen):
    """One field of one resource before and after. `run` marks an operation without lasting state (restart)."""

    address: str
    """`service/checkout`, `environment/prod`."""
    operation: Operation
    path: str = ""
    """Dotted path of the field within the resource; empty for the resource as a whole."""
    before: JsonValue = None
    after: JsonValue = None
    secret: bool = False
    """The values are masked here and must be in every surface."""
    unknown: bool = False
    """The value is known only after the effect."""


class Patch(Frozen):
    """One typed write to a desired-state document: set or remove the value at a path."""

    op: Literal["set", "remove"]
    path: PatchPath = Field(min_length=1)
    """Keys from the root of the document: ("services", "checkout", "version")."""
    value: JsonValue = None
    override_until: str | None = None
    """ISO instant: write an override that ends by itself, instead of the base."""


class Precondition(Frozen):
    """The digest of exactly one subtree that the command relies on; unrelated changes do not lapse an approval."""

    scope: Literal["desired", "live"]
    path: PatchPath
    digest: Digest


def preview_digest(changes: Sequence[ResourceChange]) -> Digest:
    """Return the digest of a preview: the order of changes does not matter."""
    rows = sorted((c.model_dump(mode="json") for c in changes), key=digest_of)
    return digest_of(list(rows))
