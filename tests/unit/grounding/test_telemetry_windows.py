"""Reading stored logs and traces over a window: whole traces by when they began, templates counted once merged."""

from datetime import timedelta

import pytest

from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.intake import LogRecord, SpanRecord
from domain.principals import EventSourceKey
from grounding.event_log import EventLog
from grounding.telemetry_reader import StoredTelemetry
from grounding.telemetry_store import TelemetryStore
from mesh.time import UlidIds, VirtualClock
from storage.engine import Database
from tests.unit.grounding.builders import T0

PROD, ACME = EnvironmentId("prod"), TenantId("acme")
KEY = EventSourceKey(id=PrincipalId("source:test"), source="test", tenants=(ACME,))
START, SPLIT, END = T0 - timedelta(minutes=10), T0, T0 + timedelta(minutes=3)
MS = 10**6


@pytest.fixture
def stored(tmp_path):
    """A store that takes telemetry, and the tenant's reader of it."""
    database, clock = Database(f"sqlite:///{tmp_path / 'a.db'}"), VirtualClock(END)
    database.create()
    ids = UlidIds(clock, seed=1)
    yield TelemetryStore(database, clock, ids), StoredTelemetry(database, EventLog(database, clock, ids), ACME)
    database.close()


def ns(at):
    return int(at.timestamp()) * 10**9


def trace(name, at, *, child_after_ms):
    """A root of 100 ms more than its child, which begins later and takes 50 ms."""
    begun, called = ns(at), ns(at) + child_after_ms * MS
    shared = {"environment": PROD, "trace_id": name, "operation": "op"}
    return [
        SpanRecord(**shared, span_id=f"{name}1", entity="service/web", start_ns=begun, end_ns=called + 150 * MS),
        SpanRecord(
            **shared, span_id=f"{name}2", parent_id=f"{name}1", entity="service/db", start_ns=called + 50 * MS,
            end_ns=called + 100 * MS,
        ),
    ]  # fmt: skip


async def test_a_trace_belongs_whole_to_the_window_it_began_in(stored):
    store, reader = stored
    second = timedelta(seconds=1)
    given = [
        *trace("before", START - second, child_after_ms=2000),
        *trace("quiet", SPLIT - second, child_after_ms=2000),
        *trace("now", END - second, child_after_ms=2000),
        *trace("after", END + second, child_after_ms=10),
    ]
    assert store.accept_spans(KEY, ACME, given).accepted == len(given)

    stats = {s.entity: s for s in await reader.spans(PROD, START, SPLIT, END) if not s.peer}

    assert stats["service/db"].baseline_self_ms == pytest.approx((50.0,), abs=1e-3)
    assert stats["service/db"].current_self_ms == pytest.approx((50.0,), abs=1e-3)
    assert [len(s.baseline_self_ms) for s in stats.values()] == [1, 1]
    assert [len(s.current_self_ms) for s in stats.values()] == [1, 1]


async def test_lines_are_counted_under_the_template_they_became_part_of(stored):
    store, reader = stored
    names = [f"user{letter}name" for letter in "abcdefghijklmnopqrstuvwxyz"]
    lines = [
        LogRecord(environment=PROD, entity="service/web", at=at, message=f"welcome back dear {name} to the shop")
        for at in (SPLIT - timedelta(seconds=5), SPLIT + timedelta(seconds=5))
        for name in names
    ]
    store.accept_logs(KEY, ACME, lines)

    [pattern] = await reader.logs(PROD, START, SPLIT, END)

    assert (pattern.baseline_count, pattern.current_count) == (26, 26)
    assert (pattern.baseline_s, pattern.current_s) == (600.0, 180.0)
