"""Two tenants' worth of everything behind the API's ports, in memory. A leaky one forgets to filter by reach."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
from fastapi import FastAPI

from api.app import build_app
from api.ports import ApiServices, Click, PlanClick
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
from domain.base import digest_of
from domain.cards import Card, SharedCommand
from domain.commands import CommandRecord, State
from domain.decisions import DecideResult, Freeze, KillSwitch, PlanDecideResult
from domain.errors import Conflict, NotFound, Unauthenticated
from domain.idempotency import KeptAnswer, KeyClaim
from domain.ids import PrincipalId, TenantId
from domain.incidents import Incident
from domain.outcomes import Lesson
from domain.plans import ChangePlan, PlanRecord, PlanState
from domain.principals import EventSourceKey, Principal, Reach, RoleGrant
from domain.subscriptions import DeadLetter, Subscriber, Subscription
from tests.unit.governance.policy_goldens import command

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVERY_ROLE = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
AGENT_ROLES = ("viewer", "proposer", "auditor")


def somebody(name: str, *roles: str, tenant: str = "acme", environment: str = "*", kind: str = "person") -> Principal:
    grants = [{"role": role, "tenant": tenant, "environment": environment} for role in roles]
    return Principal.model_validate({"id": name, "kind": kind, "name": name.title(), "grants": grants})


PEOPLE = (
    somebody("dana", *EVERY_ROLE),
    somebody("guest", "viewer"),
    somebody("staging-only", *EVERY_ROLE, environment="staging"),
    somebody("stranger", *EVERY_ROLE, tenant="globex"),
    somebody("root", *EVERY_ROLE, tenant="*"),
    somebody("platform-op", *EVERY_ROLE, tenant="platform"),
    somebody("sre", *AGENT_ROLES, kind="agent"),
    somebody("robot", *EVERY_ROLE, kind="service"),
    somebody("nobody"),
    somebody("feeder", "ingest"),
)
SENSOR = EventSourceKey(id="sensor", source="urn:acme", tenants=("acme",))
FOREIGN_SENSOR = EventSourceKey(id="foreign-sensor", source="urn:globex", tenants=("globex",))


def incident(name: str, tenant: str, environment: str = "prod") -> Incident:
    return Incident.model_validate(
        {
            "id": name,
            "tenant": tenant,
            "environment": environment,
            "title": f"secret of {tenant}",
            "severity": "error",
            "status": "open",
            "fingerprint": digest_of(name),
            "opened_at": AT,
            "last_event_at": AT,
            "entities": ("service/checkout",),
        }
    )


def record(name: str, tenant: str, environment: str = "prod") -> CommandRecord:
    what = command(id=name, tenant=tenant, environment=environment, proposer="dana", rationale=f"secret of {tenant}")
    return CommandRecord(command=what, digest=what.digest, state=State.AWAITING_APPROVAL, version=1, updated_at=AT)


def lesson(name: str, tenant: str) -> Lesson:
    return Lesson.model_validate(
        {
            "id": name,
            "tenant": tenant,
            "incident": f"inc-{tenant}",
            "command": f"cmd-{tenant}",
            "symptom": "latency",
            "fault_class": "deploy_latency",
            "command_kind": "service.rollback",
            "target": "service/checkout",
            "worked": True,
            "weight": 1.0,
            "text": f"secret of {tenant}",
            "at": AT,
        }
    )


def plan(name: str, tenant: str) -> PlanRecord:
    member = record(f"step-{tenant}", tenant)
    body = ChangePlan(
        id=name, tenant=tenant, environment="prod", proposer="dana", commands=(member.command.id,),
        digests=(member.digest,), window_start=AT, window_end=AT + timedelta(hours=1), compensate_in=(0,),
    )  # fmt: skip
    return PlanRecord(
        plan=body, digest=body.digest, state="AWAITING_APPROVAL", version=1, updated_at=AT,
        rationale=f"secret of {tenant}", members=(member,),
    )  # fmt: skip


CARD = Card(title="roll back", severity="warning", state="AWAITING_APPROVAL", summary="")


class World:
    """All services at once. `calls` notes every change that was let through."""

    def __init__(self, *, leaky: bool) -> None:
        self.leaky = leaky
        self.calls: list[tuple[object, ...]] = []
        self.incidents_ = {i.id: i for i in (incident("inc-acme", "acme"), incident("inc-globex", "globex"))}
        self.records = {r.command.id: r for r in (record("cmd-acme", "acme"), record("cmd-globex", "globex"))}
        self.plans_ = {p.plan.id: p for p in (plan("plan-acme", "acme"), plan("plan-globex", "globex"))}
        self.switches = [switch("tenant", "globex"), switch("command", "cmd-globex"), switch("kind", "node.drain")]
        self.freezes_ = {"frz-globex": freeze("globex"), "frz-acme": freeze("acme")}
        self.people = {person.id: person for person in PEOPLE}
        self.faults_: list[str] = []

    def sees(self, reach: Reach, tenant: str, environment: str | None = None) -> bool:
        return self.leaky or reach.allows(tenant, environment)

    @contextmanager
    def rehearsal(self) -> Generator[None]:
        before = len(self.calls)
        yield
        del self.calls[before:]


def switch(scope: str, value: str) -> KillSwitch:
    body = {"scope": scope, "value": value, "engaged_by": "root", "at": AT, "reason": "calm"}
    return KillSwitch.model_validate(body)


def freeze(tenant: str) -> Freeze:
    body = {"tenant": tenant, "start": AT, "end": AT + timedelta(hours=1), "reason": "quarter end", "by": "dana"}
    return Freeze.model_validate(body)


class Answers:
    """Keys and answers in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[str, KeptAnswer | None]] = {}

    def claim(self, claim: KeyClaim) -> KeptAnswer | None:
        request, answer = self._kept.setdefault((claim.holder, claim.key), (claim.request, None))
        if request != claim.request:
            raise Conflict("used for another request", reason="key_reused")
        return answer

    def keep(self, claim: KeyClaim, answer: KeptAnswer) -> None:
        self._kept[claim.holder, claim.key] = (claim.request, answer)

    def release(self, claim: KeyClaim) -> None:
        del self._kept[claim.holder, claim.key]


class Authenticator:
    """The token is the id."""

    def authenticate(self, token: str) -> Principal | EventSourceKey:
        if token == SENSOR.id:
            return SENSOR
        found = next((person for person in PEOPLE if person.id == token), None)
        if found is None:
            raise Unauthenticated("revoked last Tuesday", reason="revoked")
        return found


class Incidents:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self, reach: Reach, *, status: str | None, limit: int) -> Sequence[Incident]:
        return [i for i in self._world.incidents_.values() if self._world.sees(reach, i.tenant, i.environment)][:limit]

    def get(self, reach: Reach, incident: str) -> IncidentView:
        found = self._world.incidents_.get(incident)
        if found is None or not self._world.sees(reach, found.tenant, found.environment):
            raise NotFound(f"no incident {incident}")
        commands = tuple(self._world.records.values())
        return IncidentView(incident=found, pack=None, diagnosis=None, commands=commands)


class Commands:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[CommandRecord]:
        wanted = [r for r in self._world.records.values() if not states or r.state in states]
        return [r for r in wanted if self._world.sees(reach, r.command.tenant, r.command.environment)][:limit]

    def find(self, reach: Reach, command: str) -> CommandRecord:
        found = self._world.records.get(command)
        if found is None or not self._world.sees(reach, found.command.tenant, found.command.environment):
            raise NotFound(f"no command {command}")
        return found

    def view(self, reach: Reach, command: str) -> CommandView:
        return CommandView(record=self.find(reach, command), card=CARD, decision=None)


class Shared:
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, reach: Reach, *, states: Sequence[State], limit: int) -> Sequence[SharedCommand]:
        parts = [part_of_shared("acme"), part_of_shared("globex")]
        return [p for p in parts if self._world.sees(reach, p.tenants[0], p.environment)][:limit]

    async def find(self, reach: Reach, command: str) -> SharedCommand:
        found = next((p for p in (part_of_shared("acme"), part_of_shared("globex")) if p.id == command), None)
        if found is None or not self._world.sees(reach, found.tenants[0], found.environment):
            raise NotFound(f"no command {command}")
        return found


def part_of_shared(tenant: str) -> SharedCommand:
    return SharedCommand.model_validate(
        {
            "id": f"shared-{tenant}", "kind": "region.failover", "environment": "prod", "state": "AWAITING_APPROVAL",
            "tenants": (tenant,), "resources": (f"tenant/{tenant}",), "preview": (), "proposed_at": AT,
            "updated_at": AT, "expires_at": AT, "card": CARD,
        }
    )  # fmt: skip


class Proposing:
    def __init__(self, world: World) -> None:
        self._world = world

    async def propose(self, who: Principal, request: CommandRequest, *, key: str | None, dry_run: bool) -> Proposed:
        self._world.calls.append(("propose", who.id, request.tenant, key, dry_run))
        done = None if dry_run else self._world.records["cmd-acme"]
        return Proposed(dry_run=dry_run, card=CARD, decision=None, record=done)


class Deciding:
    def __init__(self, world: World) -> None:
        self._world = world

    async def decide(self, click: Click, verdict: str) -> DecideResult:
        return self._done(click, verdict)

    async def narrow(self, click: Click, arguments: dict[str, object]) -> DecideResult:
        return self._done(click, "narrow")

    async def cancel(self, click: Click) -> DecideResult:
        return self._done(click, "cancel")

    def _done(self, click: Click, what: str) -> DecideResult:
        self._world.calls.append((what, click.who.id, click.command, click.digest))
        return DecideResult(command=click.command, won=True, state=what, decided_by=click.who.id, message="")


class Plans:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self, reach: Reach, *, states: Sequence[PlanState], limit: int) -> Sequence[PlanRecord]:
        found = self._world.plans_.values()
        return [p for p in found if self._world.sees(reach, p.plan.tenant, p.plan.environment)][:limit]

    def find(self, reach: Reach, plan: str) -> PlanRecord:
        found = self._world.plans_.get(plan)
        if found is None or not self._world.sees(reach, found.plan.tenant, found.plan.environment):
            raise NotFound(f"no plan {plan}")
        return found

    def view(self, reach: Reach, plan: str) -> PlanView:
        return PlanView(record=self.find(reach, plan), card=CARD)

    async def propose(self, who: Principal, request: PlanRequest, *, key: str | None, dry_run: bool) -> PlanProposed:
        self._world.calls.append(("propose plan", who.id, request.tenant, key, dry_run))
        done = None if dry_run else self._world.plans_["plan-acme"]
        return PlanProposed(dry_run=dry_run, card=CARD, decisions=(None,) * len(request.commands), record=done)

    async def decide(self, click: PlanClick, verdict: str) -> PlanDecideResult:
        plan = click.record.plan.id
        self._world.calls.append((verdict, click.who.id, plan, click.digest))
        return PlanDecideResult(plan=plan, won=True, state=verdict, decided_by=click.who.id, message="")


class Switchboard:
    def __init__(self, world: World) -> None:
        self._world = world

    def engaged(self) -> Sequence[KillSwitch]:
        return self._world.switches

    def engage(self, who: Principal, request: KillSwitchRequest) -> Engaged:
        self._world.calls.append(("engage", who.id, request.scope, request.value))
        flying = tuple(self._world.records.values())
        return Engaged(switch=switch(request.scope, request.value), in_flight=flying)

    def release(self, who: Principal, scope: str, value: str, reason: str) -> None:
        self._world.calls.append(("release", who.id, scope, value, reason))


class Freezes:
    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return datetime(2026, 3, 10, 12, tzinfo=UTC)

    def list(self, tenant: str) -> Sequence[FreezeView]:
        found = self._world.freezes_.items()
        return [FreezeView(id=k, freeze=f) for k, f in found if self._world.leaky or f.tenant == tenant]

    def open(self, who: Principal, freeze: Freeze, *, key: str | None) -> FreezeView:
        self._world.calls.append(("freeze", who.id, freeze.tenant, freeze.by))
        return FreezeView(id="frz-new", freeze=freeze)

    def lift(self, who: Principal, tenant: str, freeze: str) -> None:
        found = self._world.freezes_.get(freeze)
        if found is None or found.tenant != tenant:
            raise NotFound(f"no freeze {freeze}")
        self._world.calls.append(("lift", who.id, tenant, freeze))


class Identities:
    def __init__(self, world: World) -> None:
        self._world = world

    def list(self) -> Sequence[Principal]:
        return list(self._world.people.values())

    def get(self, principal: str) -> Principal:
        if principal not in self._world.people:
            raise NotFound(f"no principal {principal}")
        return self._world.people[principal]

    def sources(self) -> Sequence[EventSourceKey]:
        return [SENSOR, FOREIGN_SENSOR]


class IdentityWriter:
    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, principal: Principal, *, by: str, expires_at: datetime | None) -> TokenView:
        if principal.id in self._world.people:
            raise Conflict("taken", reason="id_taken")
        self._world.calls.append(("add", by, principal.id))
        return TokenView(holder=principal.id, token="ops_x", lookup="x")

    def add_source(self, key: EventSourceKey, *, by: str) -> TokenView:
        self._world.calls.append(("add_source", by, key.id))
        return TokenView(holder=key.id, token="ops_x", lookup="x")

    def issue(self, holder: str, *, by: str) -> TokenView:
        self._world.calls.append(("issue", by, holder))
        return TokenView(holder=holder, token="ops_x", lookup="x")

    def set_grants(self, principal: str, grants: Sequence[RoleGrant], *, by: str) -> Principal:
        self._world.calls.append(("set_grants", by, principal, tuple(grants)))
        return self._world.people[principal].model_copy(update={"grants": tuple(grants)})

    def disable(self, holder: str, *, by: str) -> None:
        self._world.calls.append(("disable", by, holder))


class Records:
    def __init__(self, world: World) -> None:
        self._world = world

    def verify(self, tenant: str) -> AuditView:
        return AuditView(tenant=tenant, ok=True, records=1, unanchored=0, erased_texts=0, flaws=())

    def lessons(self, reach: Reach, *, limit: int) -> Sequence[Lesson]:
        every = [lesson("les-acme", "acme"), lesson("les-globex", "globex")]
        return [one for one in every if self._world.sees(reach, one.tenant)][:limit]


class Traces:
    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, reach: Reach, subject: str) -> TraceView:
        tenant = subject.removeprefix("trace-")
        if tenant not in {"acme", "globex"} or not self._world.sees(reach, tenant):
            raise NotFound("no such trace, incident, command or finding")
        at = datetime(2026, 3, 10, 12, tzinfo=UTC)
        line = {
            "at": at,
            "kind": "event",
            "what": "x",
            "text": "",
            "subject": "",
            "by": "",
            "ref": "",
            "tenant": tenant,
        }
        return TraceView.model_validate({"trace": "0" * 32, "lines": [line]})


class Subscriptions:
    def __init__(self, world: World) -> None:
        self._world = world

    def public_key(self) -> str:
        return "whpk_x"

    def list(self, tenant: str) -> Sequence[Subscription]:
        every = [subscription("sub-acme", "acme"), subscription("sub-globex", "globex")]
        return [one for one in every if self._world.leaky or one.subscriber.tenant == tenant]

    def add(self, subscriber: Subscriber, *, by: str) -> Subscription:
        self._world.calls.append(("subscribe", by, subscriber.url))
        return subscription("sub-new", subscriber.tenant)

    def remove(self, tenant: str, name: str, *, by: str) -> None:
        self._world.calls.append(("unsubscribe", by, self._known(tenant, name).id))

    def replay(self, tenant: str, name: str, *, after: int, by: str) -> Subscription:
        found = self._known(tenant, name)
        self._world.calls.append(("replay", by, name, after))
        return found

    def dead(self, tenant: str, name: str) -> Sequence[DeadLetter]:
        self._known(tenant, name)
        return []

    def _known(self, tenant: str, name: str) -> Subscription:
        if name != f"sub-{tenant}":
            raise NotFound("no such subscription")
        return subscription(name, tenant)


def subscription(name: str, tenant: str) -> Subscription:
    to = Subscriber(tenant=TenantId(tenant), url="https://example.com/feedback")
    return Subscription(
        id=name, subscriber=to, created_by=PrincipalId("root"), created_at=datetime(2026, 3, 10, 12, tzinfo=UTC)
    )


class Health:
    def __init__(self, world: World) -> None:
        self._world = world

    def faults(self) -> Sequence[str]:
        return self._world.faults_


def services(world: World) -> ApiServices:
    return ApiServices(
        authenticator=Authenticator(),
        incidents=Incidents(world),
        commands=Commands(world),
        shared=Shared(world),
        proposing=Proposing(world),
        deciding=Deciding(world),
        plans=Plans(world),
        switchboard=Switchboard(world),
        freezes=Freezes(world),
        identities=Identities(world),
        identity_writer=IdentityWriter(world),
        records=Records(world),
        traces=Traces(world),
        subscriptions=Subscriptions(world),
        answers=Answers(),
        rehearsal=world.rehearsal,
        health=Health(world),
    )


def app_over(world: World, *, max_body_bytes: int = 4096) -> FastAPI:
    return build_app(services(world), max_body_bytes=max_body_bytes)


def client_of(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://opsmesh", headers=headers)
