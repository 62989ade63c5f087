"""What the API asks of the rest, as Protocols of few methods; the mesh ties them.

Reads take the caller's reach and answer only within it; writes take the principal. The routes check both once more, so
that one forgotten filter behind a port does not show a tenant to a stranger.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from fastapi import Depends, Request
from pydantic import JsonValue

from api.auth import Authenticator
from api.views import (
    AuditView,
    CommandRequest,
    CommandView,
    Engaged,
    FreezeView,
    IncidentView,
    KillSwitchRequest,
    PlanProposed,
    PlanRequest,
    PlanView,
    Proposed,
    TokenView,
    TraceView,
)
from domain.base import Digest
from domain.cards import SharedCommand
from domain.commands import CommandRecord, State
from domain.decisions import DecideResult, Freeze, KillSwitch, PlanDecideResult
from domain.idempotency import KeptAnswer, KeyClaim
from domain.ids import CommandId, IncidentId, PrincipalId, TenantId
from domain.incidents import Incident, IncidentStatus
from domain.outcomes import Lesson
from domain.plans import PlanRecord, PlanState
from domain.principals import EventSourceKey, Principal, Reach, RoleGrant
from domain.subscriptions import DeadLetter, Subscriber, Subscription


@dataclass(frozen=True, slots=True)
class Click:
    """An authenticated answer to one digest of a command that lies within the person's reach."""

    who: Principal
    tenant: TenantId
    command: CommandId
    digest: Digest
    note: str


@dataclass(frozen=True, slots=True)
class PlanClick:
    """An authenticated answer to one digest of a plan that lies within the person's reach."""

    who: Principal
    record: PlanRecord
    digest: Digest
    note: str


class IncidentReader(Protocol):
    """Incidents with what is known about them."""

    def list(self, reach: Reach, *, status: IncidentStatus | None, limit: int) -> Sequence[Incident]:
        """Return the newest incidents within reach, newest first."""
        ...

    def get(self, reach: Reach, incident: IncidentId) -> IncidentView:
        """Return one incident. Raises NotFound, also when it is out of reach."""
        ...


class CommandReader(Protocol):
    """Commands on their path."""

    def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[CommandRecord]:
        """Return the newest commands within reach, newest first; all states when none is named."""
        ...

    def find(self, reach: Reach, command: CommandId) -> CommandRecord:
        """Return one command's record. Raises NotFound, also when it is out of reach."""
        ...

    def view(self, reach: Reach, command: CommandId) -> CommandView:
        """Return one command with all that is on record about it. Raises NotFound."""
        ...


class SharedReader(Protocol):
    """Commands of the platform, each cut down to the caller's own part."""

    async def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[SharedCommand]:
        """Return the newest that touch a tenant within reach, newest first; all states when none is named."""
        ...

    async def find(self, reach: Reach, command: CommandId) -> SharedCommand:
        """Return one. Raises NotFound, also when it touches nobody within reach."""
        ...


class Proposing(Protocol):
    """The governed path's beginning."""

    async def propose(self, who: Principal, request: CommandRequest, *, key: str | None, dry_run: bool) -> Proposed:
        """Plan and decide; record it unless it is a dry run. The same key again returns what became of the first."""
        ...


class Deciding(Protocol):
    """People's answers. Each raises Refused when the answer may not count."""

    async def decide(self, click: Click, verdict: Literal["approve", "reject"]) -> DecideResult:
        """Count an approval or rejection; the first decider wins and a late one learns who it was."""
        ...

    async def narrow(self, click: Click, arguments: dict[str, JsonValue]) -> DecideResult:
        """Supersede the command by a narrower child."""
        ...

    async def cancel(self, click: Click) -> DecideResult:
        """Take the command back before it starts."""
        ...


class ChangePlans(Protocol):
    """Change plans, read, proposed and answered."""

    def list(self, reach: Reach, *, states: Sequence[PlanState], limit: int) -> Sequence[PlanRecord]:
        """Return the newest plans within reach, newest first; all states when none is named."""
        ...

    def find(self, reach: Reach, plan: str) -> PlanRecord:
        """Return one plan. Raises NotFound, also when it is out of reach."""
        ...

    def view(self, reach: Reach, plan: str) -> PlanView:
        """Return one plan with its card. Raises NotFound."""
        ...

    async def propose(self, who: Principal, request: PlanRequest, *, key: str | None, dry_run: bool) -> PlanProposed:
        """Plan and decide all; record them unless it is a dry run. The same key returns what became of the first."""
        ...

    async def decide(self, click: PlanClick, verdict: Literal["approve", "reject"]) -> PlanDecideResult:
        """Count an approval or rejection of the whole plan. Raises Refused when it may not count."""
        ...


class Switchboard(Protocol):
    """Kill switches."""

    def engaged(self) -> Sequence[KillSwitch]:
        """Return every engaged switch."""
        ...

    def engage(self, who: Principal, request: KillSwitchRequest) -> Engaged:
        """Stop new effects; when this returns, none starts any more."""
        ...

    def release(self, who: Principal, scope: str, value: str, reason: str) -> None:
        """Let effects start again. Raises NotFound."""
        ...


class Freezes(Protocol):
    """Freeze windows."""

    def now(self) -> datetime:
        """Return the instant by the clock that windows are held against."""
        ...

    def list(self, tenant: TenantId) -> Sequence[FreezeView]:
        """Return a tenant's windows that have not ended."""
        ...

    def open(self, who: Principal, freeze: Freeze, *, key: Digest | None) -> FreezeView:
        """Open a window. The same key again while the window stands: the same window."""
        ...

    def lift(self, who: Principal, tenant: TenantId, freeze: str) -> None:
        """End a window now. Raises NotFound."""
        ...


class IdentityReader(Protocol):
    """Who is known."""

    def list(self) -> Sequence[Principal]:
        """Return every principal, by id."""
        ...

    def get(self, principal: PrincipalId) -> Principal:
        """Return one principal. Raises NotFound."""
        ...

    def sources(self) -> Sequence[EventSourceKey]:
        """Return every event source key that still counts."""
        ...


class IdentityWriter(Protocol):
    """Changes of who is known; each is audited with the principal who asked."""

    def add(self, principal: Principal, *, by: PrincipalId, expires_at: datetime | None) -> TokenView:
        """Store a principal and return its first token. Raises Conflict."""
        ...

    def add_source(self, key: EventSourceKey, *, by: PrincipalId) -> TokenView:
        """Store an event source and return its token. Raises Conflict."""
        ...

    def issue(self, holder: PrincipalId, *, by: PrincipalId) -> TokenView:
        """Return one more token."""
        ...

    def set_grants(self, principal: PrincipalId, grants: Sequence[RoleGrant], *, by: PrincipalId) -> Principal:
        """Replace all roles of a principal."""
        ...

    def disable(self, holder: PrincipalId, *, by: PrincipalId) -> None:
        """Make a holder count no longer."""
        ...


class Records(Protocol):
    """The audit and the lessons."""

    def verify(self, tenant: TenantId) -> AuditView:
        """Verify one tenant's audit chain."""
        ...

    def lessons(self, reach: Reach, *, limit: int) -> Sequence[Lesson]:
        """Return the newest lessons within reach, newest first."""
        ...


class TraceReader(Protocol):
    """What one event set off."""

    def find(self, reach: Reach, subject: str) -> TraceView:
        """Return a trace within reach by its id, or by an incident's, a command's or a finding's. Raises NotFound."""
        ...


class SubscriptionKeeper(Protocol):
    """Who is sent a tenant's feedback."""

    def public_key(self) -> str:
        """Return the key deliveries are verified with."""
        ...

    def list(self, tenant: TenantId) -> Sequence[Subscription]:
        """Return a tenant's subscriptions."""
        ...

    def add(self, subscriber: Subscriber, *, by: PrincipalId) -> Subscription:
        """Store a subscription. Raises Invalid beyond a tenant's limit."""
        ...

    def remove(self, tenant: TenantId, name: str, *, by: PrincipalId) -> None:
        """End a subscription. Raises NotFound."""
        ...

    def replay(self, tenant: TenantId, name: str, *, after: int, by: PrincipalId) -> Subscription:
        """Start again behind a position. Raises NotFound."""
        ...

    def dead(self, tenant: TenantId, name: str) -> Sequence[DeadLetter]:
        """Return what was not taken. Raises NotFound."""
        ...


class AnswerKeeper(Protocol):
    """Answers under idempotency keys."""

    def claim(self, claim: KeyClaim) -> KeptAnswer | None:
        """Claim a key for a request; return the answer it was given before. Raises Conflict where it cannot be had."""
        ...

    def keep(self, claim: KeyClaim, answer: KeptAnswer) -> None:
        """Keep the answer that a claimed request was given."""
        ...

    def release(self, claim: KeyClaim) -> None:
        """Let the key be used again: the request changed nothing."""
        ...


class Health(Protocol):
    """Whether the parts answer."""

    def faults(self) -> Sequence[str]:
        """Return the parts that do not, by name."""
        ...


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything behind the API."""

    authenticator: Authenticator
    incidents: IncidentReader
    commands: CommandReader
    shared: SharedReader
    proposing: Proposing
    deciding: Deciding
    plans: ChangePlans
    switchboard: Switchboard
    freezes: Freezes
    identities: IdentityReader
    identity_writer: IdentityWriter
    records: Records
    traces: TraceReader
    subscriptions: SubscriptionKeeper
    answers: AnswerKeeper
    rehearsal: Callable[[], AbstractContextManager[None]]
    """While it is entered, nothing that is written stays."""
    health: Health


def _services(request: Request) -> ApiServices:
    services: ApiServices = request.app.state.services
    return services


Services = Annotated[ApiServices, Depends(_services)]
