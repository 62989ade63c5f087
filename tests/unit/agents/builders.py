"""Hand-built evidence packs: three hours of quiet minutes, then fifteen in which something moves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from domain.base import TimeRange, Trust, digest_of
from domain.desired import DesiredState, EnvironmentState, ServiceState
from domain.evidence import (
    ChangeRecord,
    Evidence,
    EvidenceKind,
    EvidencePack,
    LogPattern,
    MetricSeries,
    OpenCommand,
    PastOutcome,
    SignalKind,
    SpanStats,
)
from domain.ids import PLATFORM, CommandId, EnvironmentId, EvidenceId, IncidentId, TenantId
from domain.incidents import Incident
from domain.policies import ScalingPolicy
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import Certificate, ComputeTarget, DataStore, Edge, RuntimeService, Secret, Topology

OPENED = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PROD, ACME = EnvironmentId("prod"), TenantId("acme")
LEAD_MIN, QUIET_MIN = 15, 180
KINDS: Mapping[str, tuple[SignalKind, str, str]] = {
    "request_rate": ("traffic", "1/s", "avg"),
    "error_rate": ("errors", "ratio", "avg"),
    "latency_p95_ms": ("latency", "ms", "p95"),
    "cpu_utilisation": ("saturation", "ratio", "avg"),
    "memory_mib": ("saturation", "MiB", "avg"),
    "pool_use": ("saturation", "ratio", "avg"),
    "cache_hit": ("other", "ratio", "avg"),
    "replicas_ready": ("availability", "1", "avg"),
    "replicas_desired": ("other", "1", "avg"),
    "ready": ("availability", "1", "avg"),
    "lock_waiters": ("other", "1", "avg"),
    "oldest_transaction_s": ("other", "s", "max"),
    "replica_lag_s": ("other", "s", "max"),
    "disk_used": ("saturation", "ratio", "avg"),
    "cpu_periods_throttled": ("saturation", "ratio", "avg"),
    "tcp_retransmits": ("other", "ratio", "avg"),
    "restarts": ("other", "1", "sum"),
}
QUIET: Mapping[str, float] = {
    "request_rate": 100.0,
    "error_rate": 0.0004,
    "latency_p95_ms": 80.0,
    "cpu_utilisation": 0.5,
    "memory_mib": 200.0,
    "pool_use": 0.1,
    "replicas_ready": 4.0,
    "replicas_desired": 4.0,
}
INNER: Mapping[str, float] = {
    "lock_waiters": 0.2,
    "oldest_transaction_s": 0.3,
    "replica_lag_s": 0.4,
    "disk_used": 0.4,
    "cpu_periods_throttled": 0.02,
    "tcp_retransmits": 0.0006,
}
"""What exporters tell of the inside; only services that a test moves have it."""
USUAL: Mapping[str, float] = {**INNER, **QUIET}
SERVICES = ("web", "checkout", "db")


class PackMaker:
    """A pack of three services web -> checkout -> db, quiet unless told otherwise."""

    def __init__(self, minutes_after: int = 4, **incident: str) -> None:
        self.at = OPENED + timedelta(minutes=minutes_after)
        self.start = OPENED - timedelta(minutes=LEAD_MIN + QUIET_MIN)
        self.split = OPENED - timedelta(minutes=LEAD_MIN)
        self.items: list[Evidence] = []
        self.symptom = incident.get("symptom", "service/web")
        self.kind: SignalKind = "latency"
        self.moved: dict[tuple[str, str], Sequence[float]] = {}
        self.extra: list[tuple[str, str]] = []
        self.changes: list[ChangeRecord] = []
        self.logs: list[LogPattern] = []
        self.commands: list[OpenCommand] = []
        self.past: list[PastOutcome] = []
        self.edges = [
            Edge(kind="calls", source="service/web", target="service/checkout"),
            Edge(kind="calls", source="service/checkout", target="service/db"),
        ]
        self.certificates: tuple[Certificate, ...] = ()
        self.secrets: tuple[Secret, ...] = ()
        self.versions = dict.fromkeys(SERVICES, "v1")
        self.config: dict[str, str] = {"timeout_ms": "500"}
        self.scaling: ScalingPolicy | None = ScalingPolicy(min_replicas=1, max_replicas=4, target_cpu_utilisation=0.6)
        self.endpoints: tuple[str, ...] = ()
        self.spans: list[SpanStats] = []
        self.stores: tuple[DataStore, ...] = ()
        self.regions: tuple[str, ...] = ("west",)

    def way(self, caller: str, callee: str, region: str, long: int, lost: int = 0) -> "PackMaker":
        """That many of 60 calls took 400 ms on the way to the callee in a region, or found no answer."""
        self.spans.append(
            SpanStats(
                evidence=self.item("trace", f"{caller}{callee}{region}", "platform"),
                entity=caller,
                operation="handle",
                peer=callee,
                peer_region=region,
                baseline_self_ms=(0.7,) * 60,
                current_self_ms=(0.7,) * (60 - long) + (400.0,) * long,
                current_errors=lost,
            )
        )
        return self

    def move(self, entity: str, metric: str, *steps: tuple[int, float]) -> "PackMaker":
        """From each minute (relative to the opening) on, the metric has the value."""
        usual = USUAL.get(metric, 1.0)
        values: list[float] = []
        for minute in range(-LEAD_MIN, int((self.at - OPENED).total_seconds() // 60)):
            held = [value for since, value in steps if minute >= since]
            values.append(held[-1] if held else usual)
        self.moved[entity, metric] = values
        if (entity, metric) not in self.extra and (metric not in QUIET or not entity.startswith("service/")):
            self.extra.append((entity, metric))
        return self

    def change(self, entity: str, kind: str, minute: float, before, after, *, trust: Trust = "platform") -> "PackMaker":
        at = OPENED + timedelta(minutes=minute)
        key = self.item("change", f"{kind}{entity}{minute}{before}{after}", trust)
        self.changes.append(
            ChangeRecord.model_validate(
                {"evidence": key, "entity": entity, "kind": kind, "at": at, "before": before, "after": after}
            )
        )
        return self

    def log(self, entity: str, template: str, count: int = 500) -> "PackMaker":
        self.logs.append(
            LogPattern(
                evidence=self.item("log", template, "untrusted"),
                entity=entity,
                template=template,
                severity="error",
                baseline_count=0,
                baseline_s=10_800,
                current_count=count,
                current_s=900,
            )
        )
        return self

    def command(self, kind: str, target: str, state: str) -> "PackMaker":
        key = self.item("command", f"{kind}{target}{state}", "platform")
        self.commands.append(OpenCommand(evidence=key, command=CommandId("c1"), kind=kind, target=target, state=state))
        return self

    def item(self, kind: EvidenceKind, what: str, trust: Trust, text: str = "") -> EvidenceId:
        digest = digest_of([kind, what])
        key = EvidenceId(f"ev-{digest[7:23]}")
        window = TimeRange(start=self.start, end=self.at)
        self.items.append(
            Evidence(id=key, kind=kind, source="test", digest=digest, trust=trust, window=window, text=text or what)
        )
        return key

    def build(self) -> EvidencePack:
        names = [(f"service/{s}", m) for s in SERVICES for m in QUIET] + self.extra
        series = tuple(self._series(entity, metric) for entity, metric in names)
        self.item("symptom", self.symptom, "platform", f"{self.symptom.partition('/')[2]}: out of its gate")
        self.item("topology", "topology", "platform")
        return EvidencePack(
            incident=Incident(
                id=IncidentId("incident-1"),
                tenant=ACME,
                environment=PROD,
                title="web is slow",
                severity="error",
                status="open",
                fingerprint=digest_of("web"),
                opened_at=OPENED,
                last_event_at=OPENED,
                entities=(self.symptom,),
            ),
            tenant=ACME,
            environment=PROD,
            at=self.at,
            baseline=TimeRange(start=self.start, end=self.split),
            current=TimeRange(start=self.split, end=self.at),
            symptom=self.symptom,
            symptom_kind=self.kind,
            topology=self._topology(),
            series=series,
            logs=tuple(self.logs),
            spans=tuple(self.spans),
            changes=tuple(self.changes),
            past=tuple(self.past),
            open_commands=tuple(self.commands),
            desired=self._desired(),
            bindings=(
                RuntimeTenantBinding(
                    tenant=ACME,
                    environment=PROD,
                    isolation="dedicated",
                    residency=Residency(allowed_regions=("west",), evidence_endpoints=self.endpoints),
                    primary_region="west",
                    budget_usd_per_month=1000,
                ),
            ),
            items=tuple(self.items),
        )

    def _series(self, entity: str, metric: str) -> MetricSeries:
        kind, unit, statistic = KINDS[metric]
        usual = USUAL.get(metric, 1.0)
        steps = int((self.at - self.split).total_seconds() // 60)
        # two percent of ripple with a period no window divides: quiet, but not constant
        ripple = [1.0 + 0.02 * ((7 * k) % 11 - 5) / 5 for k in range(QUIET_MIN + steps)]
        now = self.moved.get((entity, metric), [usual] * steps)
        values = [usual * r for r in ripple[:QUIET_MIN]] + [v * r for v, r in zip(now, ripple[QUIET_MIN:], strict=True)]
        return MetricSeries(
            evidence=self.item("metric", f"{entity}{metric}{values}", "platform"),
            entity=entity,
            metric=metric,
            kind=kind,
            statistic=statistic,
            unit=unit,
            start=self.start,
            step_s=60,
            values=tuple(values),
        )

    def _topology(self) -> Topology:
        services = tuple(
            RuntimeService(
                id=s, tenant=ACME, environment=PROD, compute_target="sim", owner_team=f"team-{s}", regions=self.regions
            )
            for s in SERVICES
        )
        targets = (ComputeTarget(id="sim", provider="simulated", region="west", zones=("west-1", "west-2")),)
        return Topology(
            environment=PROD,
            regions=("west", "north"),
            services=services,
            compute_targets=targets,
            certificates=self.certificates,
            data_stores=self.stores,
            secrets=self.secrets,
            edges=tuple(self.edges),
        )

    def _desired(self) -> DesiredState:
        state = {
            s: ServiceState(
                version=v, replicas=4, cpu_millicores=500, memory_mib=512, config=self.config, scaling=self.scaling
            )
            for s, v in self.versions.items()
        }
        return DesiredState(environment=PROD, tenant=PLATFORM, version=1, base=EnvironmentState(services=state))


def slow_release() -> PackMaker:
    """checkout v2 went out three minutes before the symptom and is ten times slower; web waits for it."""
    maker = PackMaker().change("service/checkout", "deployment", -3, "v1", "v2")
    maker.versions["checkout"] = "v2"
    maker.move("service/checkout", "latency_p95_ms", (-2, 800.0))
    return maker.move("service/web", "latency_p95_ms", (-2, 800.0))


def surge(minutes_after: int) -> PackMaker:
    """Three times the demand at web, at its ceiling of four replicas."""
    maker = PackMaker(minutes_after).move("service/web", "request_rate", (-1, 300.0))
    maker.move("service/web", "cpu_utilisation", (-1, 1.0)).move("service/web", "error_rate", (-1, 0.2))
    return maker.move("service/web", "latency_p95_ms", (-1, 900.0))
