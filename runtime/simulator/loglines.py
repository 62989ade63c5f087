"""What services write to their logs: symptoms as real programs word them, rendered on reading.

How often each line occurs per step follows from what the step measured, so nothing is stored and reading twice gives
the same lines. No line knows a cause that the program itself could not know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.base import Frozen, Severity, UtcDatetime
from domain.evidence import LogPattern
from domain.ids import EvidenceId
from runtime.simulator.flow import Ints
from runtime.simulator.queueing import Z95, Floats, share_above
from runtime.simulator.spec import ServiceSpec
from runtime.simulator.streams import stream
from runtime.simulator.waylines import LOST, way_lines
from runtime.simulator.windows import steps_between
from runtime.simulator.world import World


class LogLine(Frozen):
    """One line as a service wrote it."""

    at: UtcDatetime
    entity: str
    severity: Severity
    template: str
    text: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """A template, how many lines a request leaves, and what fills its places."""

    template: str
    severity: Severity
    channel: str
    share: Callable[[Floats], Floats]
    """Lines per request (or per replica where `per_replica`) from the channel's value."""
    fill: Callable[[np.random.Generator, str], tuple[str, ...]]
    per_replica: bool = False


def _locked(rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return (str(rng.integers(1000, 9999)), str(rng.integers(10**6, 10**7)), str(int(rng.lognormal(7.5, 0.5))))


def _nothing(_rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return ()


def _millis(rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return (str(int(rng.lognormal(5.0, 0.6))),)


def _request(rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return (f"/v1/items/{rng.integers(10_000, 99_999)}", str(int(rng.lognormal(3.0, 0.6))))


def _failure(rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return (f"{rng.integers(16**7, 16**8):x}",)


def _call_out(rng: np.random.Generator, dependency: str) -> tuple[str, ...]:
    return (dependency, str(int(rng.choice([500, 502, 503]))))


def _call_late(rng: np.random.Generator, dependency: str) -> tuple[str, ...]:
    return (dependency, str(int(rng.integers(2, 9) * 250)))


def _again(rng: np.random.Generator, _dependency: str) -> tuple[str, ...]:
    return (f"{rng.integers(16**7, 16**8):x}", str(int(rng.integers(2, 6))))


def _times(factor: float) -> Callable[[Floats], Floats]:
    return lambda value: factor * value


def _heap(value: Floats) -> Floats:
    return 2.0 * np.clip((value - 0.8) / 0.2, 0.0, 1.0)


# One request in 200 is logged when all is well, one slow one in 20; failures are logged each.
KINDS: tuple[_Kind, ...] = (
    _Kind("GET <*> completed in <*> ms", "info", "one", _times(0.005), _request),
    _Kind("slow request: <*> ms", "warning", "slow_share", _times(0.05), _millis),
    _Kind("unhandled exception in request handler, correlation <*>", "error", "own_failed", _times(1.0), _failure),
    _Kind("call to <*> failed with status <*>", "error", "downstream_failed", _times(1.0), _call_out),
    _Kind("call to <*> timed out after <*> ms", "error", "timed_out", _times(1.0), _call_late),
    _Kind("could not acquire a connection from the pool within <*> ms", "error", "rejected", _times(1.0), _millis),
    _Kind("request queue is full, answering 503", "warning", "shed", _times(1.0), _nothing),
    _Kind("TLS handshake failed: certificate verify failed", "error", "tls_refused", _times(1.0), _nothing),
    _Kind("garbage collection paused the process for <*> ms", "warning", "memory", _heap, _millis, per_replica=True),
    _Kind("client closed the connection before the answer was ready", "warning", "gave_up", _times(1.0), _nothing),
    _Kind("request <*> came again, attempt <*>", "warning", "repeated", _times(1.0), _again),
    _Kind("fatal: initialisation failed, exiting with code <*>", "error", "exits", _times(1.0), lambda _r, _d: ("1",)),
    _Kind("container was killed (exit code <*>), restarting", "error", "oom", _times(0.5), lambda _r, _d: ("137",),
          per_replica=True),
    _Kind("session <*> still waits for a row lock of transaction <*> after <*> ms", "warning", "lock_waiters",
          _times(0.2), _locked),
    _Kind("answer of the standby refused: it is <*> ms behind", "warning", "replica_lag_s", _times(1.0), _millis),
    _Kind("write failed: no space left on device", "error", "disk_used", _times(1.0), _nothing),
)  # fmt: skip
MAX_LINES_PER_STEP = 20
# People wait about ten seconds for a page (Nielsen, 1993), and one request in two thousand is a reload.
USUAL_PATIENCE_S, RELOADED = 10.0, 0.0005
# A disk says that it is full when it is; readers complain of a replica that is half a minute behind.
SAID_FROM = {"disk_used": 0.999, "replica_lag_s": 30.0}


def logs(world: World, start: datetime, split: datetime, end: datetime) -> tuple[LogPattern, ...]:
    """Counts of every template of every service in [start, split) and [split, end), where there are any."""
    before, after = steps_between(world, start, split), steps_between(world, split, end)
    found: list[LogPattern] = []
    for service in world.layout.services:
        if service.external:
            continue
        for k, kind in enumerate(KINDS):
            baseline = int(_counts(world, service, k, before).sum())
            current = int(_counts(world, service, k, after).sum())
            if baseline or current:
                found.append(
                    LogPattern(
                        evidence=EvidenceId(f"log:{service.id}:{k}:{split:%Y%m%dT%H%M%S}"),
                        entity=service.address, template=kind.template, severity=kind.severity,
                        baseline_count=baseline, baseline_s=float(len(before) * world.spec.step_s),
                        current_count=current, current_s=float(len(after) * world.spec.step_s),
                    )
                )  # fmt: skip
        found += _about_calls(world, service, before, after, f"{split:%Y%m%dT%H%M%S}")
    return tuple(found)


def _about_calls(world: World, service: ServiceSpec, before: Ints, after: Ints, label: str) -> list[LogPattern]:
    """Patterns about calls that never got through."""
    counted: dict[str, list[int]] = {}
    for which, steps in enumerate((before, after)):
        for line in way_lines(world, service, steps):
            counted.setdefault(line.template, [0, 0])[which] = int(line.counts.sum())
    return [
        LogPattern(
            evidence=EvidenceId(f"log:{service.id}:way{k}:{label}"), entity=service.address, template=template,
            severity="error", baseline_count=counts[0], baseline_s=float(len(before) * world.spec.step_s),
            current_count=counts[1], current_s=float(len(after) * world.spec.step_s),
        )
        for k, (template, counts) in enumerate(sorted(counted.items()))
    ]  # fmt: skip


def log_lines(world: World, start: datetime, end: datetime, service: str) -> tuple[LogLine, ...]:
    """Lines of one service in [start, end), oldest first, at most `MAX_LINES_PER_STEP` per template and step."""
    spec = world.layout.services[world.layout.service_index[service]]
    steps = steps_between(world, start, end)
    lines: list[LogLine] = []
    for k, kind in enumerate(KINDS):
        for step, count in zip(steps, _counts(world, spec, k, steps), strict=True):
            rng = stream(world.seed, "log-text", int(step), k, world.layout.service_index[service])
            for _ in range(min(int(count), MAX_LINES_PER_STEP)):
                at = world.instant(int(step) * world.spec.step_s) + timedelta(
                    milliseconds=int(rng.integers(1000 * world.spec.step_s))
                )
                places = kind.fill(rng, _worst_dependency(world, spec, int(step)))
                text = kind.template.replace("<*>", "{}").format(*places)
                lines.append(
                    LogLine(at=at, entity=spec.address, severity=kind.severity, template=kind.template, text=text)
                )
    for line in way_lines(world, spec, steps):
        for step, count in zip(steps, line.counts, strict=True):
            at = world.instant(int(step) * world.spec.step_s)
            told = LogLine(at=at, entity=spec.address, severity="error", template=line.template, text=line.template)
            lines.extend([told] * min(int(count), MAX_LINES_PER_STEP))
    return tuple(sorted(lines, key=lambda line: (line.at, line.text)))


def _counts(world: World, service: ServiceSpec, kind_index: int, steps: Ints) -> Ints:
    """Lines of one template per step: expectation rounded up or down by a fixed draw."""
    kind, history = KINDS[kind_index], world.history
    columns = world.layout.columns(service.id)
    rate = history.truth("request_rate", steps, columns)
    if kind.channel == "one":
        value = np.ones_like(rate)
    elif kind.channel == "memory":
        value = history.truth("memory_mib", steps, columns) / world.live.services[service.id].memory_mib
    elif kind.channel in {"disk_used", "replica_lag_s"}:
        value = _refused(world, kind.channel, steps, columns)
    elif kind.channel == "lock_waiters":
        value = history.rarely(kind.channel, steps, columns) / np.maximum(rate, 1e-9)
    elif kind.channel in {"gave_up", "repeated"}:
        if service.demand_rps == 0.0:
            return np.zeros(len(steps), np.int64)
        value = _gave_up(world, steps, columns) if kind.channel == "gave_up" else _repeated(world, steps, columns)
    elif kind.channel == "exits":
        return np.rint(history.rarely(kind.channel, steps, columns).sum(axis=1)).astype(np.int64)
    else:
        value = history.truth(kind.channel, steps, columns)
    base = history.truth("replicas_ready", steps, columns) if kind.per_replica else rate * world.spec.step_s
    expected = (base * kind.share(value)).sum(axis=1)
    # Failures are rounded down at rest: a healthy program still logs a line now and then.
    draw = history.draws(f"log-{kind_index}", steps, columns[0])
    return np.floor(expected + draw).astype(np.int64)


def _gave_up(world: World, steps: Ints, columns: list[int]) -> Floats:
    """Share of requests whose users no longer waited for the answer."""
    habits = world.demand.clients.habits.values()
    patience_s = next((h.patience_s for h in habits if set(h.columns) & set(columns)), USUAL_PATIENCE_S)
    p50 = np.maximum(world.history.truth("latency_p50_ms", steps, columns), 1e-3)
    p95 = np.maximum(world.history.truth("latency_p95_ms", steps, columns), 1.001 * p50)
    return share_above(np.array(1000.0 * patience_s), p50, np.log(p95 / p50) / Z95)


def _repeated(world: World, steps: Ints, columns: list[int]) -> Floats:
    """Share of requests that were sent before: somebody always reloads."""
    return RELOADED + world.history.rarely("repeated", steps, columns)


def _refused(world: World, gauge: str, steps: Ints, columns: list[int]) -> Floats:
    """Requests refused for what the gauge says: own failures while the disk is full, or the replica far behind."""
    failed = world.history.truth("own_failed", steps, columns)
    for k, column in enumerate(columns):
        level = world.gauges.read(gauge, columns[0] if gauge == "disk_used" else column, steps, 0.0)
        failed[:, k] *= level >= SAID_FROM[gauge]
    return failed


def _worst_dependency(world: World, service: ServiceSpec, step: int) -> str:
    """The callee that fails or lags most in that step, as its caller would name it."""
    if not service.calls:
        return "upstream"
    steps = np.array([step], dtype=np.int64)

    def trouble(name: str) -> float:
        columns = world.layout.columns(name)
        failing = world.history.truth("error_share", steps, columns).mean()
        slow = world.history.truth("slow_share", steps, columns).mean()
        edges = world.layout.edges(caller=service.id, callee=name)
        lost = sum(world.history.rarely(kind, steps, edges).mean() for kind in LOST)
        return float(failing + slow + lost)

    return max((c.to for c in service.calls), key=trouble)
