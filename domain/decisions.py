"""Decisions, approvals and grants: who allowed what, for which exact digest, until when."""

from typing import Literal

from pydantic import Field

from domain.base import Digest, Frozen, UtcDatetime
from domain.ids import CommandId, EnvironmentId, PrincipalId, TenantId
from domain.principals import Role

Effect = Literal["allow", "ask", "deny"]


class Ask(Frozen):
    """What a human approval must look like."""

    roles: tuple[Role, ...]
    quorum: int = Field(ge=1, le=5)
    expires_at: UtcDatetime
    """Approval expiry; execution expiry is the command's own."""


class Decision(Frozen):
    """What policy said about one digest; always with reasons and the policy-set version."""

    command: CommandId
    digest: Digest
    effect: Effect
    reasons: tuple[str, ...] = Field(min_length=1)
    policy_digest: Digest
    facts_digest: Digest
    at: UtcDatetime
    ask: Ask | None = None


class Approval(Frozen):
    """One person's answer to one digest."""

    command: CommandId
    digest: Digest
    principal: PrincipalId
    verdict: Literal["approve", "reject"]
    at: UtcDatetime
    channel: Literal["cli", "api", "web", "slack", "teams"]
    note: str = Field(default="", max_length=2000)


class DecideResult(Frozen):
    """The answer to a click: the first decider wins, later ones learn who it was (G2)."""

    command: CommandId
    won: bool
    state: str
    decided_by: PrincipalId | None
    message: str
    child: CommandId | None = None
    """The command that replaces this one, when it was narrowed."""


class PlanDecideResult(Frozen):
    """The answer to a click on a whole plan."""

    plan: str
    won: bool
    state: str
    decided_by: PrincipalId | None
    message: str


GRANT_ISSUER = "opsmesh"
GRANT_AUDIENCE = "runtime"


class GrantClaims(Frozen):
    """A one-time permission for one effect, signed by governance and checked at the runtime's door."""

    jti: str
    command: CommandId
    digest: Digest
    preview_digest: Digest
    """The runtime recomputes the preview of what it is asked to write; another effect is refused."""
    tenant: TenantId
    environment: EnvironmentId
    idempotency_key: str
    fencing: int
    expires_at: UtcDatetime


class KillSwitch(Frozen):
    """Stops new effects at once in its scope."""

    scope: Literal["global", "tenant", "agent", "kind", "command"]
    value: str = "*"
    engaged_by: PrincipalId
    at: UtcDatetime
    reason: str
    undos_continue: bool = True


class Freeze(Frozen):
    """A window in which nothing is changed unattended, and asked changes need the operator role."""

    tenant: TenantId
    environment: EnvironmentId | Literal["*"] = "*"
    start: UtcDatetime
    end: UtcDatetime
    reason: str
    by: PrincipalId


class Budget(Frozen):
    """How much a tenant's commands may do in a window; reserved with the decision, never overspent."""

    tenant: TenantId
    resource: Literal["commands", "spend_usd_per_hour", "blast_radius", "error_budget"]
    limit: float
    window_s: int = Field(gt=0)


class AuditRecord(Frozen):
    """One link of a tenant's audit chain. Personal and tenant text is not in it, only keyed digests of it."""

    tenant: TenantId
    seq: int = Field(ge=1)
    at: UtcDatetime
    action: str
    subject: str
    actor: PrincipalId
    body_digest: Digest
    """HMAC-SHA256 of the body under the tenant's text key, so that erasure leaves the chain verifiable."""
    previous: Digest
    digest: Digest
