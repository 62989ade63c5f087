"""What the API takes and answers beyond the vocabulary: requests as people write them, joined views of one thing."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from domain.base import Digest, Frozen, Slug, UtcDatetime, canonical_json
from domain.cards import Card
from domain.command_kinds import CATALOGUE, CommandKind
from domain.commands import CommandRecord
from domain.decisions import Approval, Decision, Freeze, KillSwitch
from domain.evidence import Diagnosis, EvidencePack
from domain.ids import CommandId, EnvironmentId, EvidenceId, IncidentId, PrincipalId, RunId, TenantId
from domain.incidents import Incident
from domain.plans import MOST_COMMANDS, PlanRecord, PlanWindow
from domain.principals import PrincipalKind, Role, RoleGrant
from domain.topology import EntityRef

Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
"""Free text; the zero character, which no database text column takes, is refused here."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
NAME = StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=200)
"""The rule of a Slug, for types that are ids already."""
PlaceName = Slug | Literal["*"]


class StepRequest(Frozen):
    """What one command does and why. Who proposes is told by the credential, never by the body."""

    kind: CommandKind
    arguments: dict[str, JsonValue]
    target: EntityRef
    rationale: Text = ""
    evidence: tuple[Annotated[EvidenceId, NAME], ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _arguments_fit(self) -> Self:
        CATALOGUE[self.kind].arguments.model_validate(self.arguments)
        if b"\\u0000" in canonical_json(self.arguments):
            raise ValueError("arguments may not hold the zero character")
        return self


class CommandRequest(StepRequest):
    """A command as a caller proposes it."""

    tenant: Annotated[TenantId, NAME]
    environment: Annotated[EnvironmentId, NAME]
    incident: Annotated[IncidentId, NAME] | None = None


class PlanRequest(Frozen):
    """Commands in one place that are decided as one and run in this order."""

    tenant: Annotated[TenantId, NAME]
    environment: Annotated[EnvironmentId, NAME]
    commands: tuple[StepRequest, ...] = Field(min_length=1, max_length=MOST_COMMANDS)
    window: PlanWindow | None = None
    """When they may start; from now for four hours where none is given."""
    compensate_in: tuple[Annotated[int, Field(ge=0, lt=MOST_COMMANDS)], ...] | None = Field(
        default=None, max_length=MOST_COMMANDS
    )
    """Positions from 0 in the order of their undo; where none are given all that can be undone are, the last first."""
    rationale: Text = ""
    incident: Annotated[IncidentId, NAME] | None = None

    @model_validator(mode="after")
    def _positions_fit(self) -> Self:
        named = self.compensate_in or ()
        if len(set(named)) != len(named) or any(position >= len(self.commands) for position in named):
            raise ValueError("compensate_in names each command of the plan at most once, from 0")
        return self


class Proposed(Frozen):
    """What became of a proposal, or would: then there is no record of it."""

    dry_run: bool
    card: Card
    decision: Decision | None
    record: CommandRecord | None = None


class PlanProposed(Frozen):
    """What became of a proposed plan, or would: then there is no record of it."""

    dry_run: bool
    card: Card
    decisions: tuple[Decision | None, ...]
    """What policy said to each command, in order."""
    record: PlanRecord | None = None


class ClickRequest(Frozen):
    """An answer to one exact digest, the one on the card that the person saw."""

    digest: Digest
    note: Text = ""


class NarrowRequest(ClickRequest):
    """The same command with narrower arguments; it becomes a child with its own preview and decision."""

    arguments: dict[str, JsonValue]


class KillSwitchRequest(Frozen):
    """Stop new effects in a scope."""

    scope: Literal["global", "tenant", "agent", "kind", "command"]
    value: PlaceName = "*"
    reason: Reason
    undos_continue: bool = True

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if (self.scope == "global") != (self.value == "*"):
            raise ValueError("the global switch has the value `*`, every other names one thing")
        return self


class Engaged(Frozen):
    """An engaged switch and what was in flight in its scope when it was thrown."""

    switch: KillSwitch
    in_flight: tuple[CommandRecord, ...]


class FreezeRequest(Frozen):
    """Open a freeze window: from now on for a while by the server's clock, or between two instants."""

    tenant: Annotated[TenantId, Slug]
    environment: EnvironmentId | Literal["*"] = "*"
    duration_s: int | None = Field(default=None, gt=0, le=31_536_000)
    start: UtcDatetime | None = None
    end: UtcDatetime | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.duration_s is None) != (self.start is not None and self.end is not None):
            raise ValueError("give either duration_s, or start and end")
        if self.duration_s is not None and (self.start is not None or self.end is not None):
            raise ValueError("give either duration_s, or start and end")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("the window ends before it starts")
        return self

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """Return start and end, from `now` where only a duration is given."""
        start = now if self.start is None else self.start
        return start, start + timedelta(seconds=self.duration_s or 0) if self.end is None else self.end


class FreezeView(Frozen):
    """A freeze window by the id under which it can be lifted."""

    id: str
    freeze: Freeze


class GrantRequest(Frozen):
    """One role in one place."""

    role: Role
    tenant: Annotated[TenantId, NAME] | Literal["*"]
    environment: Annotated[EnvironmentId, NAME] | Literal["*"] = "*"

    def grant(self) -> RoleGrant:
        """Return the same as the vocabulary says it."""
        return RoleGrant(role=self.role, tenant=TenantId(self.tenant), environment=EnvironmentId(self.environment))


class PrincipalRequest(Frozen):
    """A new identity."""

    id: Annotated[PrincipalId, NAME]
    kind: PrincipalKind
    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    grants: tuple[GrantRequest, ...] = Field(default=(), max_length=200)
    expires_at: AwareDatetime | None = None
    """End of the first token's life."""


class GrantsRequest(Frozen):
    """All roles that a principal shall hold in the places the caller administers."""

    grants: tuple[GrantRequest, ...] = Field(max_length=200)


class SourceRequest(Frozen):
    """A new event source."""

    id: Annotated[PrincipalId, NAME]
    source: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
    tenants: tuple[Annotated[TenantId, NAME], ...] = Field(min_length=1, max_length=200)
    trust: Literal["platform", "untrusted"] = "untrusted"


class TokenView(Frozen):
    """A token in the clear, this once."""

    holder: PrincipalId
    token: str
    lookup: str


class StepView(Frozen):
    """One step of an agent's run."""

    node: str
    text: str
    duration_ms: float


class RunView(Frozen):
    """One agent run as journalled."""

    id: RunId
    agent: str
    attempt: int
    status: str
    started_at: UtcDatetime
    ended_at: UtcDatetime | None
    diagnosis: Diagnosis | None
    steps: tuple[StepView, ...]
    proposals: tuple[CommandId, ...]


class IncidentView(Frozen):
    """An incident with what was seen, what agents made of it, and what was proposed."""

    incident: Incident
    pack: EvidencePack | None
    diagnosis: Diagnosis | None
    runs: tuple[RunView, ...] = ()
    commands: tuple[CommandRecord, ...] = ()


class AuditLineView(Frozen):
    """A link of the audit chain; no body when its text was erased."""

    seq: int
    at: UtcDatetime
    action: str
    actor: PrincipalId
    digest: Digest
    body: dict[str, JsonValue] | None


class CommandView(Frozen):
    """A command with its card, what was decided and by whom, and its audit trail."""

    record: CommandRecord
    card: Card
    decision: Decision | None
    approvals: tuple[Approval, ...] = ()
    audit: tuple[AuditLineView, ...] = ()


class PlanView(Frozen):
    """A change plan with its card; its commands, in order, are in the record."""

    record: PlanRecord
    card: Card


class FlawView(Frozen):
    """One place where the audit does not hold."""

    seq: int | None
    kind: str
    text: str


class AuditView(Frozen):
    """The answer of an audit verification of one tenant's chain."""

    tenant: TenantId
    ok: bool
    records: int
    unanchored: int
    """Records after the last anchor: their tail could be cut without a trace."""
    erased_texts: int
    flaws: tuple[FlawView, ...]


class ReplayRequest(Frozen):
    """From where a subscriber takes the feed again."""

    after: int = Field(ge=0, le=2**53)
    """Position in the feed; 0 is its beginning."""


class WebhookKeyView(Frozen):
    """What receivers verify deliveries with."""

    public_key: str


TraceKind = Literal[
    "event", "finding", "incident", "run", "proposal", "decision", "step", "tool", "verification", "outcome"
]


class TraceLine(Frozen):
    """One thing that happened in a trace."""

    at: UtcDatetime
    kind: TraceKind
    what: str
    text: str
    subject: str
    """What it is about: an address or an id."""
    by: str
    """Who did or said it."""
    tenant: TenantId
    ref: str
    """Id of the event, incident, run or command."""


class TraceView(Frozen):
    """One trace, in the order of time."""

    trace: str
    """W3C trace id, 32 hex digits."""
    lines: tuple[TraceLine, ...]
