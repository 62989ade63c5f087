import asyncio
from datetime import timedelta

import pytest

from domain.base import TimeRange
from domain.desired import DesiredState, EnvironmentState
from domain.errors import Unavailable
from domain.evidence import ChangeRecord, EvidencePack, LogPattern, MetricSeries, OpenCommand, PastOutcome
from domain.ids import CommandId, EventKey, EvidenceId, IncidentId
from domain.incidents import Incident
from domain.tenancy import Residency, RuntimeTenantBinding
from grounding import packs
from grounding.incidents import Sighting
from grounding.packs import LIVE, PackBuilder, Readers, Windows
from mesh.time import VirtualClock
from tests.unit.grounding.builders import ACME, BOREALIS, PLATFORM, PROD, T0, degraded, topology

NOW = T0 + timedelta(minutes=4)
NONE = EvidenceId("")


class Runtime:
    """Readers that return what they were given, fail, or never answer."""

    def __init__(self) -> None:
        self.fails: set[str] = set()
        self.hangs: set[str] = set()
        self.series_end = NOW
        self.asked: list[tuple[str, ...]] = []

    async def _reach(self, what: str) -> None:
        if what in self.fails:
            raise Unavailable("gone")
        if what in self.hangs:
            await asyncio.sleep(3600)

    async def topology(self, environment):
        await self._reach("topology")
        return topology()

    async def bindings(self, environment):
        await self._reach("bindings")
        return tuple(
            RuntimeTenantBinding(
                tenant=t,
                environment=PROD,
                isolation="shared",
                residency=Residency(allowed_regions=("west",)),
                primary_region="west",
                budget_usd_per_month=1.0,
            )
            for t in (ACME, BOREALIS, PLATFORM)
        )

    async def desired(self, environment):
        await self._reach("desired")
        return DesiredState(environment=PROD, tenant=PLATFORM, version=3, base=EnvironmentState())

    async def series(self, environment, entities, start, end):
        await self._reach("series")
        self.asked.append(tuple(entities))
        steps = int((self.series_end - start).total_seconds() // 60)
        return tuple(
            MetricSeries(
                evidence=NONE,
                entity=f"service/{name}",
                metric="latency_p95_ms",
                kind="latency",
                unit="ms",
                start=start,
                step_s=60,
                values=tuple(float(k % 7) for k in range(steps)),
            )
            for name in ("web", "basket", "player", "db", "far")
        )

    async def changes(self, environment, start, end):
        await self._reach("changes")
        return (ChangeRecord(evidence=NONE, entity="service/web", kind="deployment", at=T0, before="v1", after="v2"),)

    async def logs(self, environment, start, split, end):
        await self._reach("logs")
        return (
            LogPattern(
                evidence=NONE,
                entity="service/web",
                template="timeout after <*>",
                severity="error",
                baseline_count=1,
                baseline_s=100,
                current_count=50,
                current_s=10,
            ),
        )


class World:
    """Everything a builder reads."""

    def __init__(self) -> None:
        self.runtime = Runtime()
        self.events = [degraded("web", 0), degraded("player", 0.5, "errors", BOREALIS)]

    def for_tenant(self, tenant):
        return Readers(self.runtime, self.runtime)

    def window(self, tenant, window: TimeRange, *, environment=None, types=(), limit=1000):
        return [e for e in self.events if e.tenant == tenant and window.holds(e.time) and e.type in types]

    def similar(self, tenant, text, *, at, limit):
        return [
            PastOutcome(
                evidence=NONE,
                incident=IncidentId("old"),
                similarity=0.9,
                fault_class="deploy_latency",
                command_kind="service.rollback",
                worked=True,
                weight=1.0,
            )
        ]

    def on(self, tenant, environment, since):
        return [
            OpenCommand(
                evidence=NONE,
                command=CommandId("c1"),
                kind="service.restart",
                target="service/web",
                state="VERIFYING",
            )
        ]

    def build(self, incident: Incident, windows: Windows = LIVE) -> EvidencePack:
        clock = VirtualClock(NOW)
        builder = PackBuilder(readers=self, events=self, past=self, commands=self, clock=clock, windows=windows)
        return asyncio.run(builder.build(incident))


def incident(world: World, tenant=ACME) -> Incident:
    title = Sighting(entity="service/web", signal="latency", rising=True, at=T0, severity="error", title="web")
    return Incident(
        id=IncidentId("i1"),
        tenant=tenant,
        environment=PROD,
        title="web is slow",
        severity="error",
        status="open",
        fingerprint=title.fingerprint,
        opened_at=T0,
        last_event_at=T0 + timedelta(minutes=1),
        entities=("service/web",),
        events=tuple(EventKey(e.key) for e in world.events),
    )


def cited(pack: EvidencePack) -> list[EvidenceId]:
    return [
        row.evidence
        for rows in (pack.series, pack.changes, pack.logs, pack.spans, pack.past, pack.open_commands)
        for row in rows
    ]


def test_everything_read_is_an_item_with_source_digest_and_trust():
    world = World()
    pack = world.build(incident(world))
    assert cited(pack)
    assert all(pack.item(e) is not None for e in cited(pack))
    assert {i.kind for i in pack.items} == {
        "symptom", "change", "metric", "log", "topology", "past", "command", "desired",
    }  # fmt: skip
    assert {i.trust for i in pack.items if i.kind == "log"} == {"untrusted"}
    assert all(i.trust == "platform" for i in pack.items if i.kind in {"metric", "change", "desired"})
    assert pack.current.start < T0 < pack.current.end == NOW
    assert pack.baseline.end == pack.current.start


def test_the_same_evidence_has_the_same_ids_and_digest():
    world = World()
    one, two = world.build(incident(world)), world.build(incident(world))
    assert one == two
    assert one.digest == two.digest
    world.runtime.series_end -= timedelta(minutes=2)
    assert world.build(incident(world)).digest != one.digest


@pytest.mark.parametrize("part", ["topology", "bindings", "desired", "series", "changes", "logs"])
def test_a_reader_that_fails_becomes_a_gap_and_nothing_else_is_lost(part: str):
    world = World()
    world.runtime.fails.add(part)
    pack = world.build(incident(world))
    assert any("gone" in gap.why for gap in pack.gaps)
    assert len(pack.items) >= 4


def test_a_reader_that_never_answers_becomes_a_gap(monkeypatch):
    monkeypatch.setattr(packs, "READ_LIMIT_S", 0.05)
    world = World()
    world.runtime.hangs.add("series")
    pack = world.build(incident(world))
    assert pack.series == ()
    assert any("no answer" in gap.why for gap in pack.gaps)


def test_series_that_are_missing_or_went_quiet_are_gaps():
    world = World()
    pack = world.build(incident(world))
    assert [g.what for g in pack.gaps if g.what == "metrics of service/lone"]
    world.runtime.series_end = NOW - timedelta(minutes=30)
    quiet = world.build(incident(world))
    assert [g.why for g in quiet.gaps if g.what == "metrics of service/web"] == ["at least one series went quiet"]


def test_a_tenant_sees_its_own_symptoms_only_and_the_platform_sees_all():
    world = World()
    mine = world.build(incident(world))
    assert [i.text for i in mine.items if i.kind == "symptom" and "player" in i.text] == []
    assert any("symptom events" in g.what for g in mine.gaps)
    all_of_it = world.build(incident(world, PLATFORM))
    assert len([i for i in all_of_it.items if i.kind == "symptom"]) == 2
    assert mine.symptom_kind == "latency"


def test_a_large_environment_is_read_around_the_symptom(monkeypatch):
    monkeypatch.setattr(packs, "MAX_ENTITIES", 3)
    world = World()
    world.build(incident(world))
    assert "service/web" in world.runtime.asked[0]
    assert "service/lone" not in world.runtime.asked[0]


def test_the_symptom_is_the_entity_that_depends_on_the_others():
    world = World()
    world.events = [degraded("basket", 0), degraded("web", 0.5, "errors")]
    told = incident(world).model_copy(update={"entities": ("service/basket", "service/web")})
    pack = world.build(told)
    assert (pack.symptom, pack.symptom_kind) == ("service/web", "errors")


def test_an_alert_that_names_no_signal_is_a_symptom_of_another_kind():
    world = World()
    alert = {"alert": "Complaints", "status": "firing", "labels": {"service": "web"}}
    world.events = [degraded("web", 0).model_copy(update={"type": "runtime.alert.v1", "data": alert})]
    assert world.build(incident(world)).symptom_kind == "other"
    world.events = []
    assert world.build(incident(world)).symptom_kind == "latency"


def test_windows_are_as_long_as_told_and_lines_may_reach_back_less():
    world = World()
    asked: list[object] = []

    async def logs(environment, start, split, end):
        asked.extend((split - start, end - split))
        return ()

    world.runtime.logs = logs
    told = Windows(lead=timedelta(minutes=1), baseline=timedelta(hours=5), lines=timedelta(minutes=2))
    pack = world.build(incident(world), windows=told)
    assert pack.baseline.end - pack.baseline.start == timedelta(hours=5)
    assert asked == [timedelta(minutes=2), timedelta(minutes=5)]
