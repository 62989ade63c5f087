"""Events and a small topology for grounding tests."""

from datetime import UTC, datetime, timedelta

from domain.base import Severity
from domain.events import Dimensions, Event, IncomingEvent, body_digest
from domain.ids import EnvironmentId, EventKey, TenantId
from domain.topology import Edge, RuntimeService, Topology

T0 = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PROD = EnvironmentId("prod")
ACME, BOREALIS, PLATFORM = TenantId("acme"), TenantId("borealis"), TenantId("platform")


class Counter:
    """Ids in order."""

    def __init__(self) -> None:
        self.count = 0

    def ulid(self) -> str:
        self.count += 1
        return f"{self.count:026d}"


KEYS = Counter()


def event(
    kind: str, data: dict[str, object], at: datetime, tenant: TenantId = ACME, severity: Severity = "error"
) -> Event:
    key = KEYS.ulid()
    dimensions = Dimensions(environmentid=PROD, serviceid=str(data.get("service", "")) or None, severity=severity)
    said = IncomingEvent(id=key, source="/test", type=kind, time=at, dimensions=dimensions, data=data)
    return Event(
        key=EventKey(key),
        tenant=tenant,
        source=said.source,
        id=key,
        type=kind,
        time=at,
        received_at=at,
        dimensions=dimensions,
        data=data,
        body_digest=body_digest(said),
    )


def degraded(service: str, minute: float, signal: str = "latency", tenant: TenantId = ACME) -> Event:
    data: dict[str, object] = {"service": service, "signal": signal, "observed": 0.4, "threshold": 0.15}
    return event("runtime.health.degraded.v1", data, T0 + timedelta(minutes=minute), tenant)


def recovered(service: str, minute: float, signal: str = "latency", tenant: TenantId = ACME) -> Event:
    data: dict[str, object] = {"service": service, "signal": signal}
    return event("runtime.health.recovered.v1", data, T0 + timedelta(minutes=minute), tenant, "info")


def burn(service: str, minute: float) -> Event:
    data: dict[str, object] = {"service": service, "burn_rate": 20.0, "window_s": 300, "objective": 0.999}
    return event("runtime.slo.burn.v1", data, T0 + timedelta(minutes=minute), severity="critical")


def service(name: str, tenant: TenantId = ACME) -> RuntimeService:
    return RuntimeService(id=name, tenant=tenant, environment=PROD, compute_target="sim", owner_team=f"team-{tenant}")


def calls(*pairs: tuple[str, str]) -> tuple[Edge, ...]:
    return tuple(Edge(kind="calls", source=f"service/{a}", target=f"service/{b}") for a, b in pairs)


def topology() -> Topology:
    """web -> basket -> db (shared), player -> db; far stands alone; all on one pool."""
    names = [("web", ACME), ("basket", ACME), ("player", BOREALIS), ("db", PLATFORM), ("far", ACME), ("lone", ACME)]
    on = tuple(Edge(kind="runs_on", source=f"service/{name}", target="node_pool/shared") for name, _ in names)
    return Topology(
        environment=PROD,
        services=tuple(service(name, tenant) for name, tenant in names),
        edges=(*calls(("web", "basket"), ("basket", "db"), ("player", "db"), ("far", "lone")), *on),
    )
