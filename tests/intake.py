"""What the intake suites share: a log on a virtual clock, a sender, events as senders write them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from grounding.event_log import EventLog
from mesh.time import UlidIds, VirtualClock
from storage.engine import Database

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ACME, GLOBEX = TenantId("acme"), TenantId("globex")
ACME_KEY = EventSourceKey(id=PrincipalId("acme-runtime"), source="/runtime", tenants=(ACME,))
GLOBEX_KEY = EventSourceKey(id=PrincipalId("globex-runtime"), source="/runtime", tenants=(GLOBEX,))
BOTH_KEY = EventSourceKey(id=PrincipalId("both"), source="*", tenants=(ACME, GLOBEX))


@dataclass(frozen=True)
class Desk:
    """A log and the clock it goes by."""

    log: EventLog
    clock: VirtualClock
    database: Database


def desk(database: Database) -> Desk:
    clock = VirtualClock(NOW)
    return Desk(EventLog(database, clock, UlidIds(clock, seed=1)), clock, database)


def degraded(event_id: str | None = "e-1", **overrides: JsonValue) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/runtime/eu",
        "type": "runtime.health.degraded.v1",
        "subject": "service/checkout",
        "time": "2026-03-10T11:59:00Z",
        "environmentid": "prod",
        "serviceid": "checkout",
        "severity": "error",
        "data": {
            "service": "checkout",
            "signal": "latency",
            "observed": 812.5,
            "threshold": 500.0,
            "unit": "ms",
            "message": "p95 above its gate",
        },
    }
    return {name: value for name, value in (document | overrides).items() if value is not None}


def wire(document: JsonValue) -> bytes:
    return json.dumps(document).encode()
