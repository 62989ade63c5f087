"""What stands behind the HTTP API: the mesh's parts in the form its routes ask for. Joins, decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Select, select, true

from api.ports import ApiServices, Click
from api.scopes import of_platform
from api.views import (
    AuditLineView,
    AuditView,
    CommandRequest,
    CommandView,
    Engaged,
    FlawView,
    FreezeView,
    IncidentView,
    KillSwitchRequest,
    Proposed,
    RunView,
    StepView,
    TokenView,
)
from domain.base import Digest
from domain.commands import CommandRecord, Proposal, State
from domain.decisions import DecideResult, Freeze, KillSwitch
from domain.errors import NotFound, Unavailable
from domain.ids import CommandId, IncidentId, PrincipalId, TenantId
from domain.incidents import Incident, IncidentStatus
from domain.outcomes import Lesson
from domain.principals import ANY, READING_ROLES, EventSourceKey, Principal, Reach, RoleGrant
from governance.ballots import Answer
from governance.facts import assemble
from governance.kept_answers import KeptAnswers
from governance.principals import IssuedToken
from governance.verification import verify
from mesh.cards import command_card
from mesh.composition import Mesh
from mesh.discretion import discreet
from mesh.plan_services import PlansBehind
from mesh.shared import SharedBehind
from mesh.submission import callers_key, unrecorded
from mesh.tracing import TracesBehind
from storage.tables.knowledge import incidents as incident_rows
from storage.tables.knowledge import index_documents

_SCAN = 2000


@dataclass(frozen=True, slots=True)
class IncidentsBehind:
    """Incidents within reach."""

    mesh: Mesh

    def list(self, reach: Reach, *, status: IncidentStatus | None, limit: int) -> Sequence[Incident]:
        """Return the newest incidents within reach, newest first."""
        query = select(incident_rows.c.body).order_by(incident_rows.c.opened_at.desc()).limit(_SCAN)
        if status is not None:
            query = query.where(incident_rows.c.status == status)
        return [i for i in self._read(query, reach) if reach.allows(i.tenant, i.environment)][:limit]

    def _read(self, query: Select[tuple[dict[str, JsonValue]]], reach: Reach) -> Sequence[Incident]:
        with self.mesh.parts.database.read() as connection:
            bodies = connection.execute(query.where(_of_tenants(incident_rows.c.tenant, reach))).scalars().all()
        return [Incident.model_validate(body) for body in bodies]

    def get(self, reach: Reach, incident: IncidentId) -> IncidentView:
        """Return one incident with evidence, diagnosis, runs and commands. Raises NotFound."""
        named = self._read(select(incident_rows.c.body).where(incident_rows.c.id == incident), reach)
        found = next((i for i in named if reach.allows(i.tenant, i.environment)), None)
        if found is None:
            raise NotFound("no such incident")
        runs = self.mesh.journal.runs(found.tenant, found.id)
        commands = self.mesh.governed.commands.list(found.tenant, incident=found.id)
        view = IncidentView(
            incident=found,
            pack=self.mesh.cases.pack(found.tenant, found.id),
            diagnosis=self.mesh.cases.diagnosis(found.tenant, found.id),
            runs=tuple(
                RunView(
                    **run.model_dump(include=set(RunView.model_fields) - {"steps", "diagnosis"}),
                    diagnosis=run.diagnosis,
                    steps=tuple(StepView(**step.model_dump()) for step in run.steps),
                )
                for run in runs
            ),
            commands=commands,
        )
        return discreet(view, (record.command for record in commands), reach)


@dataclass(frozen=True, slots=True)
class CommandsBehind:
    """Commands within reach."""

    mesh: Mesh

    def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[CommandRecord]:
        """Return the newest commands within reach, newest first."""
        store = self.mesh.governed.commands
        rows = [r for scope in _scopes(reach) for r in store.list(scope, states=states, limit=_SCAN)]
        rows.sort(key=lambda r: r.command.id, reverse=True)
        mine = [r for r in rows if reach.allows(r.command.tenant, r.command.environment)][:limit]
        return [discreet(record, (record.command,), reach) for record in mine]

    def find(self, reach: Reach, command: CommandId) -> CommandRecord:
        """Return one command's record. Raises NotFound, also when it is out of reach."""
        record = self.mesh.governed.commands.get("*", command)
        if not reach.allows(record.command.tenant, record.command.environment):
            raise NotFound("no such command")
        return record

    def view(self, reach: Reach, command: CommandId) -> CommandView:
        """Return one command with card, decision, approvals and audit trail. Raises NotFound."""
        record, store = self.find(reach, command), self.mesh.governed.commands
        tenant = record.command.tenant
        decision = store.decision(tenant, command)
        trail = self.mesh.governed.audit.read(tenant, subject=command)
        view = CommandView(
            record=record,
            card=command_card(
                record, decision=decision, diagnosis=self.mesh.cases.diagnosis(tenant, record.command.incident),
                verification=self.mesh.journal.verification(tenant, command),
                plan=self.mesh.governed.plans.plan_of(command),
            ),
            decision=decision,
            approvals=store.approvals(tenant, command),
            audit=tuple(
                AuditLineView(
                    seq=line.record.seq, at=line.record.at, action=line.record.action, actor=line.record.actor,
                    digest=line.record.digest, body=line.body,
                )
                for line in trail
            ),
        )  # fmt: skip
        return discreet(view, (record.command,), reach)


@dataclass(frozen=True, slots=True)
class ProposingBehind:
    """People's way onto the governed path."""

    mesh: Mesh

    async def propose(self, who: Principal, request: CommandRequest, *, key: str | None, dry_run: bool) -> Proposed:
        """Plan and decide; record it unless it is a dry run."""
        proposal = Proposal(**request.model_dump(), proposer=who.id)
        reach = who.reach(READING_ROLES)
        if dry_run:
            command, decision = await self.mesh.submission.preview(proposal)
            card = command_card(unrecorded(command), decision=decision)
            return discreet(Proposed(dry_run=True, card=card, decision=decision), (command,), reach)
        record = await self.mesh.submission.submit(proposal, key=callers_key(proposal, key))
        decided = self.mesh.governed.commands.decision(record.command.tenant, record.command.id)
        card = command_card(record, decision=decided)
        told = Proposed(dry_run=False, card=card, decision=decided, record=record)
        return discreet(told, (record.command,), reach)


@dataclass(frozen=True, slots=True)
class DecidingBehind:
    """People's answers."""

    mesh: Mesh

    async def decide(self, click: Click, verdict: Literal["approve", "reject"]) -> DecideResult:
        """Count an approval or rejection. Raises Refused with the reason when it may not count."""
        record = self.mesh.governed.commands.get(click.tenant, click.command)
        forbidden: dict[CommandId, Sequence[str]] = {}
        if verdict == "approve" and record.state is State.AWAITING_APPROVAL:
            around = await self.mesh.submission.surroundings.around(record.command)
            permission = self.mesh.policy.can_approve(click.who, record.command, assemble(record.command, around))
            forbidden = {} if permission.allowed else {click.command: permission.reasons}
        return self.mesh.governed.approvals.decide(
            Answer(
                tenant=click.tenant, subject=click.command, digest=click.digest, principal=click.who, verdict=verdict,
                channel="api", note=click.note, forbidden=forbidden,
            )
        )  # fmt: skip

    async def narrow(self, click: Click, arguments: dict[str, JsonValue]) -> DecideResult:
        """Supersede the command by a narrower child, which gets its own preview and decision."""
        store = self.mesh.governed.commands
        parent = store.get(click.tenant, click.command)
        child = await self.mesh.submission.narrowed(parent, click.digest, arguments, by=click.who.id)
        made = store.supersede(click.tenant, click.command, child, click.who.id, click.note or "narrowed")
        decided = await self.mesh.submission.decide(made)
        return DecideResult(
            command=click.command, won=True, state=State.SUPERSEDED, decided_by=click.who.id, child=made.command.id,
            message=f"superseded by {made.command.id}, which is {decided.state}: {decided.reason}",
        )  # fmt: skip

    async def cancel(self, click: Click) -> DecideResult:
        """Take the command back before it starts."""
        moved = self.mesh.governed.commands.cancel(
            click.tenant, click.command, click.who.id, click.note or "taken back"
        )
        return DecideResult(
            command=click.command, won=True, state=moved.state, decided_by=click.who.id, message=moved.reason
        )


@dataclass(frozen=True, slots=True)
class SwitchboardBehind:
    """Kill switches."""

    mesh: Mesh

    def engaged(self) -> Sequence[KillSwitch]:
        """Return every engaged switch."""
        return self.mesh.governed.switches.engaged()

    def engage(self, who: Principal, request: KillSwitchRequest) -> Engaged:
        """Stop new effects and list what is in flight."""
        switch = KillSwitch(**request.model_dump(), engaged_by=who.id, at=self.mesh.parts.clock.now())
        in_flight = self.mesh.governed.switches.engage(switch, outranks=of_platform(who))
        told = Engaged(switch=switch, in_flight=in_flight)
        return discreet(told, (record.command for record in in_flight), who.reach(READING_ROLES))

    def release(self, who: Principal, scope: str, value: str, reason: str) -> None:
        """Let effects start again. Raises NotFound."""
        held = next((s for s in self.engaged() if (s.scope, s.value) == (scope, value)), None)
        if held is None:
            raise NotFound("no such switch is engaged")
        self.mesh.governed.switches.release(held, who.id, reason)


@dataclass(frozen=True, slots=True)
class FreezesBehind:
    """Freeze windows."""

    mesh: Mesh

    def now(self) -> datetime:
        """Return the mesh's instant."""
        return self.mesh.parts.clock.now()

    def list(self, tenant: TenantId) -> Sequence[FreezeView]:
        """Return a tenant's windows that have not ended."""
        return [FreezeView(id=key, freeze=f) for key, f in self.mesh.governed.switches.freezes(tenant).items()]

    def open(self, who: Principal, freeze: Freeze, *, key: Digest | None) -> FreezeView:
        """Open a window in the caller's name, or find the one that the key opened."""
        named, switches = freeze.model_copy(update={"by": who.id}), self.mesh.governed.switches
        name = switches.freeze(named, key=key)
        return FreezeView(id=name, freeze=switches.freezes(freeze.tenant).get(name, named))

    def lift(self, who: Principal, tenant: TenantId, freeze: str) -> None:
        """End a window now. Raises NotFound."""
        self.mesh.governed.switches.thaw(tenant, freeze, who.id)


@dataclass(frozen=True, slots=True)
class IdentitiesBehind:
    """Identities, read and written."""

    mesh: Mesh

    def list(self) -> Sequence[Principal]:
        """Return every principal, by id."""
        return self.mesh.principals.list()

    def get(self, principal: PrincipalId) -> Principal:
        """Return one principal. Raises NotFound."""
        return self.mesh.principals.get(principal)

    def sources(self) -> Sequence[EventSourceKey]:
        """Return every event source key that still counts."""
        return self.mesh.principals.sources()

    def add(self, principal: Principal, *, by: PrincipalId, expires_at: datetime | None) -> TokenView:
        """Store a principal and return its first token. Raises Conflict."""
        return _shown(self.mesh.principals.add(principal, by=by, expires_at=expires_at))

    def add_source(self, key: EventSourceKey, *, by: PrincipalId) -> TokenView:
        """Store an event source and return its token. Raises Conflict."""
        return _shown(self.mesh.principals.add_source(key, by=by))

    def issue(self, holder: PrincipalId, *, by: PrincipalId) -> TokenView:
        """Return one more token."""
        return _shown(self.mesh.principals.issue(holder, by=by))

    def set_grants(self, principal: PrincipalId, grants: Sequence[RoleGrant], *, by: PrincipalId) -> Principal:
        """Replace all roles of a principal."""
        return self.mesh.principals.set_grants(principal, grants, by=by)

    def disable(self, holder: PrincipalId, *, by: PrincipalId) -> None:
        """Make a holder count no longer."""
        self.mesh.principals.disable(holder, by=by)


@dataclass(frozen=True, slots=True)
class RecordsBehind:
    """The audit and the lessons."""

    mesh: Mesh

    def verify(self, tenant: TenantId) -> AuditView:
        """Verify one tenant's audit chain."""
        report = verify(self.mesh.parts.database, self.mesh.governed.audit, tenant)
        flaws = tuple(FlawView(seq=f.seq, kind=f.kind, text=f.text) for f in report.flaws)
        return AuditView(
            tenant=tenant, ok=report.ok, records=report.records, unanchored=report.unanchored,
            erased_texts=report.erased_texts, flaws=flaws,
        )  # fmt: skip

    def lessons(self, reach: Reach, *, limit: int) -> Sequence[Lesson]:
        """Return the newest lessons within reach, newest first."""
        query = select(index_documents.c.body).where(
            index_documents.c.kind == "outcome", _of_tenants(index_documents.c.tenant, reach)
        )
        with self.mesh.parts.database.read() as connection:
            bodies = connection.execute(query.order_by(index_documents.c.at.desc()).limit(_SCAN)).scalars()
            found = [Lesson.model_validate(body) for body in bodies]
        return [lesson for lesson in found if reach.allows(lesson.tenant)][:limit]


@dataclass(frozen=True, slots=True)
class HealthBehind:
    """Whether the parts answer."""

    mesh: Mesh

    def faults(self) -> Sequence[str]:
        """Return the parts that do not, by name."""
        faults: list[str] = []
        try:
            with self.mesh.parts.database.read() as connection:
                connection.execute(select(1))
        except Unavailable:
            faults.append("store")
        if self.mesh.policy.fault:
            faults.append("policy")
        return faults


def api_services(mesh: Mesh) -> ApiServices:
    """Return everything behind the API, over one mesh."""
    identities = IdentitiesBehind(mesh)
    return ApiServices(
        authenticator=mesh.principals, incidents=IncidentsBehind(mesh), commands=CommandsBehind(mesh),
        shared=SharedBehind(mesh), proposing=ProposingBehind(mesh), deciding=DecidingBehind(mesh),
        plans=PlansBehind(mesh), switchboard=SwitchboardBehind(mesh),
        freezes=FreezesBehind(mesh), identities=identities, identity_writer=identities, records=RecordsBehind(mesh),
        traces=TracesBehind(mesh), subscriptions=mesh.subscriptions, health=HealthBehind(mesh),
        answers=KeptAnswers(mesh.parts.database, mesh.parts.clock), rehearsal=mesh.parts.database.rehearsal,
    )  # fmt: skip


def _scopes(reach: Reach) -> Sequence[TenantId | Literal["*"]]:
    """Return what to read for a reach: one tenant's flood must not crowd out another's."""
    tenants = sorted({tenant for tenant, _ in reach.places})
    return ["*"] if ANY in tenants else [TenantId(tenant) for tenant in tenants]


def _of_tenants(column: ColumnElement[str], reach: Reach) -> ColumnElement[bool]:
    scopes = _scopes(reach)
    return true() if "*" in scopes else column.in_(scopes)


def _shown(issued: IssuedToken) -> TokenView:
    return TokenView(holder=issued.holder, token=issued.token, lookup=issued.lookup)
