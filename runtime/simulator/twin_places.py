"""What readings tell about one place only, while all else is taken as even over regions.

A CPU that is stopped below its request, a copy that is behind in its region, a way to one region that is bad: the fit
would smear each over the whole service, and no command that goes around it would seem to help.
"""

import numpy as np

from domain.evidence import EvidencePack, SpanStats
from runtime.simulator.fit import Fitted
from runtime.simulator.layout import Layout
from runtime.simulator.queueing import Floats

# Half of the scheduler's periods cut short: what is used then is the limit.
THROTTLED = 0.5
# Readers of a copy give it up when it is half a minute behind; a handful of waiters is everyday for a lock; no request
# handler's transaction takes a minute.
STALE_S, WAITERS, LEFT_OPEN_S = 30.0, 3.0, 60.0
# Calls whose way takes five milliseconds more than three times the usual are the ones that took the bad way.
SLOWER, SLOW_MS = 3.0, 5.0
MOST_LOST = 0.98
NEWEST = 3


def newest(pack: EvidencePack, entity: str, metric: str) -> float:
    """Median of a metric's newest samples; 0 where nothing was read."""
    found = [s for s in pack.series if s.entity == entity and s.metric == metric]
    values = [v for s in found for v in s.values[-NEWEST:] if v is not None]
    return float(np.median(values[-NEWEST:])) if values else 0.0


def stopped(pack: EvidencePack, layout: Layout) -> Floats:
    """CPU limits as multiples of the request, lowered to what is used where most periods are cut short."""
    limits = layout.plant.burst.copy()
    for column, service in enumerate(layout.rows):
        used = newest(pack, service.address, "cpu_utilisation")
        if newest(pack, service.address, "cpu_periods_throttled") >= THROTTLED and 0.0 < used < limits[column]:
            limits[column] = used
    return limits


def disturb(pack: EvidencePack, layout: Layout) -> None:
    """Put bad ways on the call edges of the layout's plant, as traces of the callers show them."""
    for span in pack.spans:
        if not span.peer or not span.baseline_self_ms or not span.current_self_ms:
            continue
        caller, callee = span.entity.partition("/")[2], span.peer.partition("/")[2]
        edges = [
            e for e in layout.edges(caller=caller, callee=callee)
            if span.peer_region in {"", layout.regions[int(layout.region_of[layout.plant.graph.callee[e]])]}
        ]  # fmt: skip
        way_ms, jitter_ms, lost = _way(span)
        layout.plant.way_ms[edges], layout.plant.jitter_ms[edges] = way_ms, jitter_ms
        layout.plant.unreachable[edges] = lost
        layout.plant.undisturbed &= not edges


def _way(span: SpanStats) -> tuple[float, float, float]:
    """Extra time (ms), its spread, and share of calls without an answer, among the calls that took the bad way."""
    now, usual = np.sort(np.array(span.current_self_ms)), float(np.median(span.baseline_self_ms))
    bad = now[now > SLOWER * usual + SLOW_MS]
    lost = min(span.current_errors / max(len(bad), 1), MOST_LOST)
    answered = bad[: max(len(bad) - span.current_errors, 0)]  # those without an answer waited longest
    if not len(answered):
        return 0.0, 0.0, lost
    return float(answered.mean()) - usual, float(answered.std()), lost


def confine(pack: EvidencePack, layout: Layout, fitted: Fitted, before: Fitted) -> None:
    """Put a store's failures where its copy is behind; where it is written to it fails as it did before."""
    for store in pack.topology.data_stores:
        if store.id not in layout.service_index or newest(pack, f"service/{store.id}", "replica_lag_s") < STALE_S:
            continue
        columns = layout.columns(store.id)
        behind = [c for c in columns if layout.regions[int(layout.region_of[c])] == store.replica_region]
        share = float(fitted.error_share[columns].mean()) * len(columns) / max(len(behind), 1)
        if behind and len(behind) < len(columns):
            fitted.error_share[columns] = before.error_share[columns]
            fitted.error_share[behind] = min(share, MOST_LOST)


def held_store(pack: EvidencePack, service: str) -> str | None:
    """The store whose lock ends with the service's sessions: its own, or one it left a transaction open at."""
    address = f"service/{service}"
    called = [e.target for e in pack.topology.edges if e.kind == "calls" and e.source == address]
    open_ = newest(pack, address, "oldest_transaction_s") >= LEFT_OPEN_S
    for store in [address, *(called if open_ else ())]:
        if newest(pack, store, "lock_waiters") >= WAITERS:
            return store.partition("/")[2]
    return None
