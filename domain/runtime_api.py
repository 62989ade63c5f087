"""Bodies and answers of the `/runtime` API that are no other domain shape already; server and client share them."""

from typing import Literal

from pydantic import Field, JsonValue

from domain.arguments import TicketOpen
from domain.base import Frozen, Slug, UtcDatetime
from domain.changes import Patch, ResourceChange
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.outcomes import EffectReceipt

OperationKind = Literal["restart", "ticket"]


class PatchBody(Frozen):
    """Fields to write, in order."""

    patches: tuple[Patch, ...] = Field(min_length=1, max_length=50)
    rationale: str = Field(default="", max_length=2000)


class RestartBody(Frozen):
    """Restart the replicas of a service one after another."""

    operation: Literal["restart"] = "restart"
    service: Slug
    reason: Literal["memory_pressure", "hung", "stale_connections", "stale_config", "operator"] = "operator"
    rationale: str = Field(default="", max_length=2000)


class TicketBody(TicketOpen):
    """Tell the owner what is wrong."""

    rationale: str = Field(default="", max_length=2000)


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


class OperationRecord(Frozen):
    """One accepted operation without lasting state."""

    id: str
    tenant: TenantId
    environment: EnvironmentId
    idempotency_key: str
    kind: OperationKind
    target: str
    arguments: dict[str, JsonValue]
    actor: PrincipalId
    accepted_at: UtcDatetime
    done: bool
