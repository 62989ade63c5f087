"""How fast events are taken in, against the least any program must do: json.loads and executemany.

Both write the same events into the same table with its indexes and full text, in transactions of the same size, in
turns within one run, so that the machine's mood meets both. The baseline checks nothing and trusts every line.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from domain.envelope import data_problem, read_event
from domain.events import Dimensions, IncomingEvent
from domain.ids import PrincipalId, TenantId
from domain.principals import EventSourceKey
from evals.bench_figures import Figure
from grounding.event_log import BATCH, EventLog
from grounding.event_rows import insert_statement
from mesh.time import SystemClock, UlidIds
from storage.engine import Database

EVENTS = 10_000
ROUNDS = 5
_FIRST = datetime(2026, 3, 10, tzinfo=UTC)
_SENDER = EventSourceKey(id=PrincipalId("bench"), source="/runtime", tenants=(TenantId("acme"),))


def ingest_rate() -> list[Figure]:
    """Return the rates, their ratio (at least 0.5 is promised) and the share of ours spent in validation."""
    lines = [_line(number) for number in range(EVENTS)]
    with TemporaryDirectory() as folder:
        for round_ in ("warm-up-baseline", "warm-up-ours"):
            _timed(_baseline if "baseline" in round_ else _ours, Path(folder, round_), lines)
        rounds = [
            (
                _timed(_baseline, Path(folder, f"{number}-baseline"), lines),
                _timed(_ours, Path(folder, f"{number}-ours"), lines),
                _validation(lines),
            )
            for number in range(ROUNDS)
        ]
    return [
        Figure("ingest, json.loads + executemany", median(EVENTS / base for base, _, _ in rounds), "events/s"),
        Figure("ingest, event log", median(EVENTS / ours for _, ours, _ in rounds), "events/s"),
        Figure("ingest, ratio of the two", median(base / ours for base, ours, _ in rounds), "", "promised: 0.5"),
        Figure("ingest, share spent in validation", median(check / ours for _, ours, check in rounds), ""),
    ]


def _timed(run: Callable[[Database, Sequence[bytes]], None], path: Path, lines: Sequence[bytes]) -> float:
    database = Database(f"sqlite:///{path}.db")
    database.create()
    start = perf_counter()
    run(database, lines)
    seconds = perf_counter() - start
    database.close()
    return seconds


def _ours(database: Database, lines: Sequence[bytes]) -> None:
    clock = SystemClock()
    report = EventLog(database, clock, UlidIds(clock)).accept_json(_SENDER, lines)
    if report.accepted != len(lines):
        raise AssertionError(f"{report.accepted} of {len(lines)} events accepted")


def _baseline(database: Database, lines: Sequence[bytes]) -> None:
    statement = insert_statement(database.dialect)
    for start in range(0, len(lines), BATCH):
        rows = [_trusting(number, lines[number]) for number in range(start, min(start + BATCH, len(lines)))]
        with database.begin() as connection:
            connection.exec_driver_sql(statement, rows)


def _trusting(number: int, line: bytes) -> tuple[str | None, ...]:
    document = json.loads(line)
    return (
        f"{number:026d}",
        "acme",
        document["source"],
        document["id"],
        document["type"],
        document["subject"],
        document["time"],
        document["time"],
        *(document.get(name) for name in Dimensions.model_fields),
        None,
        json.dumps(document["data"]),
        "platform",
        "",
        "bench",
    )


def _validation(lines: Sequence[bytes]) -> float:
    """Seconds to read the lines strictly and hold envelope and data to their models."""
    start = perf_counter()
    for line in lines:
        event = read_event(line)
        if not isinstance(event, IncomingEvent) or data_problem(event) is not None:
            raise AssertionError("a bench event is not valid")
    return perf_counter() - start


def _line(number: int) -> bytes:
    document = {
        "specversion": "1.0",
        "id": f"event-{number:08d}",
        "source": "/runtime/eu/health",
        "type": "runtime.health.degraded.v1",
        "subject": f"service/svc-{number % 40}",
        "time": (_FIRST + timedelta(seconds=number)).isoformat(),
        "tenantid": "acme",
        "environmentid": "prod",
        "serviceid": f"svc-{number % 40}",
        "region": "eu-north",
        "severity": "error",
        "traceparent": f"00-{number:032x}-{number:016x}-01",
        "data": {
            "service": f"svc-{number % 40}",
            "signal": "latency",
            "observed": 500.5 + number % 997,
            "threshold": 500.0,
            "unit": "ms",
            "message": f"p95 latency above its gate for {number % 9} minutes on replica {number % 13}",
        },
    }
    return json.dumps(document).encode()
