"""The composition root: the same mesh for server, demo, tests and evals, over other clocks, stores and worlds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from agents import AGENTS
from agents.skeleton import Reasoner
from domain.decisions import Budget
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.ports import Clock, CrashPoints, FeedbackSink, Ids, Rehearsal
from domain.principals import ANY, Principal, RoleGrant
from domain.subscriptions import SubscriptionForm
from domain.tenancy import RuntimeTenantBinding
from governance.assembly import Governed, assemble_governed
from governance.autonomy import Autonomy
from governance.policy import PolicySet
from governance.principals import Principals, find
from grounding.embeddings import HashedNgrams
from grounding.event_log import EventLog
from grounding.incidents import Incidents
from grounding.knowledge import KnowledgeIndex
from grounding.packs import LIVE, PackBuilder, Windows
from grounding.telemetry_store import TelemetryStore
from grounding.vectors import ChromaVectors, Vectors
from mesh.cases import Cases
from mesh.compliance import ComplianceCheck
from mesh.crash import NO_CRASH
from mesh.detection import Detection
from mesh.elsewhere import RemoteRuntime
from mesh.embedded import EmbeddedRuntime, embedded_runtime
from mesh.execution import Executor
from mesh.feed import Feed
from mesh.feedback import Feedback
from mesh.feedback_sinks import OtlpSink, WebhookSink
from mesh.internal import MESH, InternalAuthenticator, PlatformTells, PlatformTold
from mesh.investigation import Investigation, Redirect, as_proposed
from mesh.journal import Journal
from mesh.loop import Loop
from mesh.observed import Observed
from mesh.outside import outside
from mesh.paging import Pager
from mesh.planning import Planning
from mesh.readers import ApiReaders, CommandsAsEvidence
from mesh.runtime_proposals import RuntimeProposals
from mesh.stages import Watcher, nobody
from mesh.submission import ActionTable, Submission
from mesh.subscriptions import Subscriptions
from mesh.surroundings import SurroundingsReader
from mesh.telemetry import Telemetry
from mesh.thawing import Thawing
from mesh.time import OsEntropy
from mesh.undoing import Undoing
from mesh.watching import Watching
from mesh.witness import CasesWitness
from runtime.parts import RuntimeParts
from runtime.planes import Planes
from runtime.simulator.world import World
from runtime.targets.planes import simulated_planes
from runtime.targets.simulated import SimulatedTarget
from runtime.worker import principal_of
from runtime.workers import WORKERS
from storage.engine import Database
from tools.actions import bind_actions
from tools.client import RuntimeClient
from tools.handoff import bind_handoffs

WORKER = PrincipalId("service:mesh")
HOURS_PER_MONTH = 730.0
SPEND_SHARE = 0.5
"""Commands may add up to half of the tenant's hourly budget within a month: a raised cost lasts until it is lowered,
and the rest is the bill the runtime runs up anyway."""
COMMANDS_PER_HOUR = 20
"""More than one command in three minutes per tenant is a loop gone wrong (our choice)."""
RESOURCES_PER_HOUR = 40


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mesh is made over."""

    home: Path
    database: Database
    runtime_database: Database
    clock: Clock
    ids: Ids
    telemetry: Telemetry
    crash: CrashPoints = NO_CRASH
    watcher: Watcher = nobody
    rehearsal: Rehearsal | None = None
    reasoner: Reasoner | None = None
    redirect: Redirect = as_proposed
    vectors: Vectors | None = None
    """Where the knowledge index searches; None means embedded Chroma in the state folder."""
    loops: tuple[str, ...] | None = None
    """Names of the embedded runtime's services and workers whose control loops run; None means all."""
    loopback_receivers: bool = False
    """Whether feedback may go to this machine: for trying it out only."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A composed mesh over a runtime: embedded, or in another process."""

    parts: Parts
    governed: Governed
    principals: Principals
    autonomy: Autonomy
    policy: PolicySet
    log: EventLog
    telemetry_store: TelemetryStore
    incidents: Incidents
    journal: Journal
    cases: Cases
    knowledge: KnowledgeIndex
    readers: ApiReaders
    submission: Submission
    loop: Loop
    subscriptions: Subscriptions
    runtime: EmbeddedRuntime | RemoteRuntime

    async def register(self, runs: World | Observed) -> None:
        """Make the environment, its tenants' budgets and our own identities known."""
        bound = (runs.binding,) if isinstance(runs, Observed) else runs.spec.tenants
        if isinstance(self.runtime, EmbeddedRuntime):
            await self.runtime.register(_environment(runs), bound)
        for binding in bound:
            self._set_budgets(binding)

    async def adopt(self) -> None:
        """Set the budgets of whoever is bound to the environments of a runtime elsewhere. Raises Unavailable."""
        for environment in self.loop.detection.environments:
            for binding in await self.readers.runtime(PLATFORM).bindings(environment):
                self._set_budgets(binding)

    def _set_budgets(self, binding: RuntimeTenantBinding) -> None:
        known = {
            level.budget.resource for level in self.governed.budgets.levels(binding.tenant, self.parts.clock.now())
        }
        for budget in _default_budgets(binding):
            if budget.resource not in known:
                self.governed.budgets.set(budget, WORKER)

    async def reconcile(self) -> None:
        """Give an embedded runtime its turn; one elsewhere takes its own."""
        if isinstance(self.runtime, EmbeddedRuntime):
            await self.runtime.services.reconcile()

    async def close(self) -> None:
        """Close clients and stores."""
        await self.runtime.close()
        self.parts.telemetry.close()
        self.parts.database.close()
        self.parts.runtime_database.close()


def compose(parts: Parts, runs: World | Observed | RemoteRuntime) -> Mesh:
    """Put a mesh together over a simulated world, a watched environment or a runtime elsewhere; nothing runs yet."""
    parts.database.create()
    governed = assemble_governed(
        parts.database, keys=parts.home / "keys", anchor=parts.home / "audit.anchor", find=find, clock=parts.clock,
        ids=parts.ids, crash=parts.crash,
    )  # fmt: skip
    principals = Principals(parts.database, governed.audit, parts.clock, OsEntropy())
    _know_ourselves(principals)
    log = EventLog(parts.database, parts.clock, parts.ids)
    policy = PolicySet.load()
    journal = Journal(parts.database, parts.clock, parts.ids)
    cases = Cases(parts.database, journal, governed.commands)
    proposals = RuntimeProposals(cases)
    reached = _reach(
        parts, runs, InternalAuthenticator(principals), proposals, governed.grants.public_key_pem, log, policy, cases
    )
    readers = ApiReaders(RuntimeClient(http=reached.runtime.http, token=reached.token))
    vectors = parts.vectors or ChromaVectors(parts.home / "index")
    knowledge = KnowledgeIndex(parts.database, vectors, HashedNgrams())
    knowledge.probe()
    autonomy, incidents = Autonomy(parts.ids), Incidents(parts.ids)
    actions = ActionTable((bind_handoffs if isinstance(runs, Observed) else bind_actions)(readers.client))
    submission = Submission(
        database=parts.database, store=governed.commands, policy=policy, actions=actions, reader=readers.runtime,
        clock=parts.clock, ids=parts.ids,
        surroundings=SurroundingsReader(
            database=parts.database, store=governed.commands, budgets=governed.budgets, autonomy=autonomy,
            principals=principals, incidents=cases, readers=readers, compliance=ComplianceCheck(policy, readers),
            clock=parts.clock,
        ),
    )  # fmt: skip
    proposals.submission = submission
    loop = _loop(
        parts, governed, log=log, incidents=incidents, journal=journal, cases=cases, knowledge=knowledge,
        readers=readers, submission=submission, autonomy=autonomy, reached=reached,
    )  # fmt: skip
    proposals.planning = loop.planning
    return Mesh(
        parts=parts, governed=governed, principals=principals, autonomy=autonomy, policy=policy, log=log,
        telemetry_store=TelemetryStore(parts.database, parts.clock, parts.ids),
        incidents=incidents, journal=journal, cases=cases, knowledge=knowledge, readers=readers,
        submission=submission, loop=loop, subscriptions=_subscriptions(parts, governed), runtime=reached.runtime,
    )  # fmt: skip


def _subscriptions(parts: Parts, governed: Governed) -> Subscriptions:
    connect = partial(outside, loopback_too=parts.loopback_receivers)
    sinks: dict[SubscriptionForm, FeedbackSink] = {
        "cloudevents": WebhookSink(governed.webhooks, parts.clock, connect), "otlp": OtlpSink(connect)
    }  # fmt: skip
    return Subscriptions(
        database=parts.database, feed=Feed(parts.database, governed.outbox, parts.clock), sinks=sinks,
        audit=governed.audit, clock=parts.clock, ids=parts.ids, key=governed.webhooks.public_key,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Reached:
    runtime: EmbeddedRuntime | RemoteRuntime
    token: str = field(repr=False)
    environments: Sequence[EnvironmentId]
    windows: Windows = LIVE


def _environment(runs: World | Observed) -> EnvironmentId:
    return runs.topology.environment if isinstance(runs, Observed) else EnvironmentId(runs.spec.environment)


def _reach(
    parts: Parts,
    runs: World | Observed | RemoteRuntime,
    authenticator: InternalAuthenticator,
    proposals: RuntimeProposals,
    grant_key: bytes,
    log: EventLog,
    policy: PolicySet,
    cases: Cases,
) -> _Reached:
    """Return the runtime, the token it knows us by, the environments to look after and how far back to look."""
    if isinstance(runs, RemoteRuntime):
        return _Reached(runs, runs.token, runs.environments)
    watched = isinstance(runs, Observed)
    over = RuntimeParts(
        database=parts.runtime_database, clock=parts.clock, ids=parts.ids, entropy=OsEntropy(),
        target=runs.target(parts.database, log) if watched else SimulatedTarget(runs),
        planes=Planes() if watched else simulated_planes(runs, parts.home / "runtime", OsEntropy()),
        home=parts.home / "runtime", tell=PlatformTells(log), heard=PlatformTold(parts.database),
        controls=lambda: policy.controls,
    )  # fmt: skip
    over = replace(over, planes=replace(over.planes, witness=CasesWitness(cases)))
    runtime = embedded_runtime(
        over, crash=parts.crash, authenticator=authenticator, proposals=proposals, grant_key=grant_key,
        loops=() if watched else parts.loops,
    )  # fmt: skip
    windows = runs.windows if watched else LIVE
    return _Reached(runtime, authenticator.token, [_environment(runs)], windows)


def _loop(  # noqa: PLR0913  # composition
    parts: Parts,
    governed: Governed,
    *,
    log: EventLog,
    incidents: Incidents,
    journal: Journal,
    cases: Cases,
    knowledge: KnowledgeIndex,
    readers: ApiReaders,
    submission: Submission,
    autonomy: Autonomy,
    reached: _Reached,
) -> Loop:
    database, clock, ids, watcher = parts.database, parts.clock, parts.ids, parts.watcher
    watching = Watching(database, journal, readers, submission.actions, clock, parts.crash)
    executor = Executor(
        store=governed.commands, executions=governed.executions, plans=governed.plans, grants=governed.grants,
        submission=submission, actions=submission.actions, watching=watching, clock=clock, worker=WORKER,
        incident_of=cases.of,
    )  # fmt: skip
    packs = PackBuilder(
        readers=readers, events=log, past=knowledge, commands=CommandsAsEvidence(governed.commands),
        clock=clock, windows=reached.windows,
    )  # fmt: skip
    undoing = Undoing(governed.commands, governed.executions, executor, submission.actions, clock, ids, WORKER)
    return Loop(
        detection=Detection(
            database, log, incidents, knowledge, journal, readers, clock, tuple(reached.environments), watcher
        ),
        investigation=Investigation(
            cases=cases, packs=packs, journal=journal, submission=submission, agents=AGENTS,
            pager=Pager(database, journal, governed.outbox, incidents, clock, ids, watcher),
            rehearsal=parts.rehearsal, reasoner=parts.reasoner, clock=clock, telemetry=parts.telemetry,
            watcher=watcher, redirect=parts.redirect,
        ),
        submission=submission, store=governed.commands, executions=governed.executions, executor=executor,
        watching=watching, thawing=Thawing(database, governed.commands, clock, WORKER),
        undoing=undoing,
        planning=Planning(submission, governed.plans, governed.approvals, undoing, clock, ids),
        feedback=Feedback(
            database=database, journal=journal, outbox=governed.outbox, audit=governed.audit, autonomy=autonomy,
            incidents=incidents, lessons=knowledge, clock=clock, ids=ids,
        ),
        cases=cases, journal=journal, readers=readers, clock=clock, telemetry=parts.telemetry, watcher=watcher,
        worker=WORKER, audit=governed.audit,
    )  # fmt: skip


def _know_ourselves(principals: Principals) -> None:
    """Store the mesh's, the agents' and the workers' identities; these propose everywhere and approve nowhere."""
    principals.ensure(MESH)
    known = [(spec.principal, spec.name) for spec in AGENTS]
    known += [(principal_of(worker.name), worker.name) for worker in WORKERS]
    for principal, name in known:
        grants = (RoleGrant(role="proposer", tenant=TenantId(ANY)),)
        principals.ensure(Principal(id=principal, kind="agent", name=name, grants=grants))


def _default_budgets(binding: RuntimeTenantBinding) -> tuple[Budget, ...]:
    hourly = binding.budget_usd_per_month / HOURS_PER_MONTH * SPEND_SHARE
    hour_s, month_s = 3600, round(HOURS_PER_MONTH * 3600)
    return (
        Budget(tenant=binding.tenant, resource="spend_usd_per_hour", limit=hourly, window_s=month_s),
        Budget(tenant=binding.tenant, resource="commands", limit=COMMANDS_PER_HOUR, window_s=hour_s),
        Budget(tenant=binding.tenant, resource="blast_radius", limit=RESOURCES_PER_HOUR, window_s=hour_s),
    )
