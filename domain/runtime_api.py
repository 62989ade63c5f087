"""Bodies and answers of the `/runtime` API that are no other domain shape already; server and client share them."""

from types import new_class
from typing import TYPE_CHECKING, Annotated, Literal, Union, cast

from pydantic import Field, JsonValue

from domain.base import Frozen, Slug, UtcDatetime
from domain.changes import Patch, ResourceChange
from domain.command_kinds import CATALOGUE, CommandKind
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.outcomes import EffectReceipt

RATIONALE_LENGTH = 2000
OPERATION_KINDS: tuple[CommandKind, ...] = (
    "service.restart",
    "region.failover",
    "failover.drill",
    "compliance.waive",
    "chaos.run",
    "chaos.abort",
    "restore_point.create",
    "restore.run",
    "restore.drill",
    "certificate.rotate",
    "secret.rotate",
    "issuer.distrust",
    "pack.upgrade",
    "operation.cancel",
    "ticket.open",
)
"""Kinds that are recorded operations; all other kinds are patches. A pack.upgrade is one for several tenants only."""


class PatchBody(Frozen):
    """Fields to write, in order."""

    patches: tuple[Patch, ...] = Field(min_length=1, max_length=50)
    rationale: str = Field(default="", max_length=RATIONALE_LENGTH)


class OperationRequest(Frozen):
    """What every operation is asked for with: its kind and the closed arguments of that kind."""

    kind: CommandKind
    arguments: Frozen
    rationale: str = Field(default="", max_length=RATIONALE_LENGTH)


def _request(kind: CommandKind) -> type[OperationRequest]:
    """Return the closed body of one kind: OperationRequest with the kind fixed and its arguments' model."""
    name = "".join(part.title() for part in kind.replace("_", ".").split("."))
    fixed: dict[str, object] = {"kind": Literal[kind], "arguments": CATALOGUE[kind].arguments}
    body = {"__module__": __name__, "__doc__": f"Ask for {kind}.", "__annotations__": fixed}
    return cast(
        "type[OperationRequest]", new_class(name, (OperationRequest,), exec_body=lambda space: space.update(body))
    )


REQUESTS: dict[CommandKind, type[OperationRequest]] = {kind: _request(kind) for kind in OPERATION_KINDS}
"""One closed body per operation kind, read off the catalogue."""
if TYPE_CHECKING:
    OperationBody = OperationRequest
else:
    OperationBody = Annotated[Union[tuple(REQUESTS.values())], Field(discriminator="kind")]  # noqa: UP007  # made from a table


class PreviewAnswer(Frozen):
    """What a write would change, on which version of the document. Nothing took effect."""

    changes: tuple[ResourceChange, ...]
    version: int


class ProposedAnswer(Frozen):
    """The write became a proposed command; nothing took effect. Follow it at its address."""

    status: Literal["proposed"] = "proposed"
    location: str
    effects: Literal[0] = 0


class EnvironmentAnswer(Frozen):
    """One environment as the caller sees it."""

    environment: EnvironmentId
    tenant: TenantId
    version: int
    actuated_version: int
    at: UtcDatetime
    """The runtime's own clock."""


class VersionsAnswer(Frozen):
    """Versions of a service that desired state has named, newest first, each once."""

    service: Slug
    versions: tuple[Slug, ...]


class EffectAnswer(Frozen):
    """What the ledger holds under one idempotency key."""

    receipt: EffectReceipt
    applied_count: int


OperationStatus = Literal["accepted", "running", "done", "failed", "cancelled"]


class Progress(Frozen):
    """How far an operation has come."""

    status: OperationStatus
    fraction: float = Field(ge=0, le=1, default=1.0)
    result: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What it measured or made: names and figures, never a secret."""
    detail: str = Field(default="", max_length=2000)


class OperationRecord(Frozen):
    """One accepted operation without lasting state, and how far it has come."""

    id: str
    tenant: TenantId
    environment: EnvironmentId
    idempotency_key: str
    kind: CommandKind
    target: str
    arguments: dict[str, JsonValue]
    actor: PrincipalId
    accepted_at: UtcDatetime
    progress: Progress

    @property
    def done(self) -> bool:
        """Tell whether it ended well."""
        return self.progress.status == "done"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will happen."""
        return self.progress.status in {"done", "failed", "cancelled"}
