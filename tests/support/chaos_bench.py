"""Chaos over the small runtime in memory: faults that hurt nobody, figures a test sets, a clock a test moves."""

from dataclasses import dataclass
from datetime import timedelta

from domain.arguments import ChaosStep
from domain.desired import DesiredState
from domain.evidence import MetricSeries
from domain.ids import EvidenceId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from runtime.documents import Place
from runtime.injection.memory import MemoryFaults
from runtime.injection.ports import LoopSeen
from runtime.meaning import operation_meaning
from runtime.planes import Planes
from runtime.ports import Asked
from runtime.scope import TenantView
from runtime.services import chaos
from runtime.services.chaos.consent import Consent, ConsentWindow
from runtime.services.chaos.experiment import read_experiment
from runtime.services.chaos.operators import reverter_of
from runtime.services.chaos.records import CONSENTS, EXPERIMENTS, RUNS, THE, StoredExperiment
from tests.support.runtime_bench import PROD, Bench
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY, small_bench

ACME = TenantId("acme")
ALWAYS = Consent(
    faults=("deploy_errors", "dependency_slow"), services=("*",),
    windows=(ConsentWindow(from_hour_utc=0, to_hour_utc=24),), max_share=1.0,
)  # fmt: skip


def metric(entity="service/cart", **changed):
    return {"type": "opsmesh.metric", "entity": entity, "metric": "error_rate", "window_s": 300} | changed


def document(**changed):
    """One fault of cart, held for five minutes, watched."""
    return {
        "version": "1.0.0",
        "title": "A bad release of the cart",
        "description": "What users of the shop notice of it.",
        "tags": ["release"],
        "configuration": {"service": "service/cart"},
        "controls": [
            {"name": "deadline", "provider": {"type": "opsmesh.deadline", "after_s": 1800}},
            {
                "name": "shop works",
                "provider": {
                    "type": "opsmesh.safeguard", "entity": "service/shop", "metric": "error_rate",
                    "tolerance": [0, 0.3],
                },
            },
        ],
        "steady-state-hypothesis": {
            "title": "The cart answers",
            "probes": [
                {"type": "probe", "name": "few errors", "tolerance": [0, 0.02], "provider": metric("${service}")}
            ],
        },
        "method": [
            {
                "type": "action",
                "name": "bad release",
                "provider": {
                    "type": "opsmesh.fault", "fault": "deploy_errors", "target": "${service}", "size": 0.5,
                    "lease_s": 120,
                },
                "pauses": {"after": 300},
            },
            {"ref": "few errors"},
            {
                "type": "action", "name": "good again", "provider": {"type": "opsmesh.revert", "of": "bad release"},
                "pauses": {"after": 60},
            },
        ],
        "rollbacks": [
            {"type": "action", "name": "for sure", "provider": {"type": "opsmesh.revert", "of": "bad release"}}
        ],
    } | changed  # fmt: skip


class Witness:
    """Says what a test tells it to have seen."""

    def __init__(self):
        self.said = LoopSeen()
        self.asked = []

    async def seen(self, environment, entities, since):
        self.asked.append((environment, entities, since))
        return self.said


@dataclass
class ChaosBench:
    """The service with its operators, one stored experiment, everybody's consent."""

    bench: Bench
    faults: MemoryFaults
    witness: Witness

    def __post_init__(self):
        self.place = Place(environment=PROD, tenant=ACME)
        self.revive()
        self.errors()

    def revive(self):
        """Start the service anew over the same disk, as after a restart."""
        self.operators = chaos.operators(self.bench.services.parts)
        self.watch = reverter_of(self.bench.services.parts)

    @property
    def parts(self):
        return self.bench.services.parts

    def store(self, raw=None, name="cart"):
        document_ = read_experiment(raw or document()).document
        with self.parts.database.begin() as connection:
            stored = StoredExperiment(document=document_, by=PrincipalId("ana"))
            EXPERIMENTS.put(connection, self.place, name, stored, at=self.parts.clock.now())

    def consent(self, tenant="acme", consent=ALWAYS):
        with self.parts.database.begin() as connection:
            place = Place(environment=PROD, tenant=TenantId(tenant))
            CONSENTS.put(connection, place, THE, consent, at=self.parts.clock.now())

    def errors(self, cart=0.001, shop=0.001):
        now = self.parts.clock.now()
        self.bench.target.metrics = [
            MetricSeries(
                evidence=EvidenceId(f"e:{name}"), entity=f"service/{name}", metric="error_rate", kind="errors",
                start=now - timedelta(seconds=60), step_s=60, values=(value,),
            )
            for name, value in (("cart", cart), ("shop", shop))
        ]  # fmt: skip

    def asked(self, kind="chaos.run", tenant=ACME, name="cart"):
        arguments = ChaosStep(experiment=name)
        desired = DesiredState(environment=PROD, tenant=tenant, version=1, base=STATE)
        return Asked(
            meaning=operation_meaning(kind, arguments, PROD), tenant=tenant, environment=PROD,
            view=TenantView(tenant, TOPOLOGY, TENANTS), desired=desired, at=self.parts.clock.now(), key="k",
        )  # fmt: skip

    def record(self, kind="chaos.run", name="cart", number=1, tenant=ACME):
        return OperationRecord(
            id=f"op-{kind[6:]}-{number}", tenant=tenant, environment=PROD, idempotency_key=f"key-{number}", kind=kind,
            target=f"experiment/{name}", arguments={"experiment": name}, actor=PrincipalId("ana"),
            accepted_at=self.parts.clock.now(), progress=Progress(status="accepted", fraction=0.0),
        )  # fmt: skip

    async def step(self, record=None):
        record = record or self.record()
        return await self.operators[record.kind].step(record)

    async def round(self, record=None, *, seconds=30, watch=True, **errors):
        """Half a minute goes by; the runtime takes its turn."""
        self.bench.clock.move_to(self.parts.clock.now() + timedelta(seconds=seconds))
        self.errors(**errors)
        progress = await self.step(record)
        if watch:
            await self.watch.turn()
        return progress

    async def run(self, rounds=60, record=None, **errors):
        progress = await self.step(record)
        for _ in range(rounds):
            if progress.status != "running":
                break
            progress = await self.round(record, **errors)
        return progress

    def journal(self, record=None):
        with self.parts.database.read() as connection:
            return RUNS.get(connection, self.place, (record or self.record()).id).body.journal

    @property
    def told(self):
        return [(e.data["phase"], e.dimensions.severity) for _, e in self.bench.told.events]


async def chaos_bench(folder):
    faults = MemoryFaults(frozenset({"service/cart", "service/auth", "service/shop"}))
    witness = Witness()
    bench = await small_bench(folder, planes=Planes(faults=faults, witness=witness))
    made = ChaosBench(bench, faults, witness)
    made.store()
    made.consent()
    return made
