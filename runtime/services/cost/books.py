"""The books of a window: usage at the prices of the time, scaled to the bill where there is one, piece by piece.

A piece is what one service, or one pool's unrequested nodes, cost on one machine type. Billed days count as billed, to
the last digit; what is not billed yet counts as metered.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np

from analysis.signals import Floats
from domain.base import TimeRange
from domain.ids import PLATFORM, EnvironmentId, TenantId
from runtime.bills.ports import Billing, Price, UsageSeries
from runtime.bills.records import CostRecord
from runtime.services.cost.bills import Charge

CURRENCY = "USD"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One series of usage with its cost per interval, USD at the price of the time."""

    resource: str
    """Address: the service, or the pool for what of its nodes nobody requested."""
    tenant: TenantId
    region: str
    node_pool: str
    sku: str
    category: str
    times: Floats
    """Unix seconds at which the intervals begin."""
    core_hours: Floats
    replica_hours: Floats
    usd: Floats


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line costs in the window; both parts are exact."""

    resource: str
    tenant: TenantId
    region: str
    node_pool: str
    sku: str
    category: str
    billed: Fraction
    estimated: Fraction

    @property
    def usd(self) -> Fraction:
        """Billed and estimated."""
        return self.billed + self.estimated


@dataclass(slots=True)
class Books:
    """All pieces of a window, and how far they rest on bills."""

    window: TimeRange
    pieces: list[Piece] = field(default_factory=list[Piece])
    metered_usd: float = 0.0
    metered_and_billed_usd: float = 0.0
    metered_until: datetime | None = None
    metered_s: float = 0.0
    restated: int = 0
    missed: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """(estimate, bill) of every resource and period that has both."""


async def lines_of(billing: Billing, environment: EnvironmentId, start: datetime, end: datetime) -> list[Line]:
    """Return usage over [start, end) with its cost; idle capacity is what a pool has and nobody requested."""
    usage, prices = await billing.usage(environment, start, end), await billing.prices(environment)
    table = price_table(prices)
    lines = [_line(s, table) for s in usage if s.kind == "requested"]
    requested: dict[tuple[str, str], Floats] = {}
    for line in lines:
        key = (line.node_pool, line.sku)
        requested[key] = requested[key] + line.core_hours if key in requested else line.core_hours
    return lines + [_idle(s, table, requested) for s in usage if s.kind == "capacity"]


def price_table(prices: Iterable[Price]) -> Mapping[str, tuple[Floats, Floats]]:
    """Return per machine type the instants (Unix seconds) and the USD per core hour from each on."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for price in prices:
        found[price.sku].append((price.since.timestamp(), price.usd_per_core_hour))
    return {sku: (np.array([t for t, _ in rows]), np.array([p for _, p in rows])) for sku, rows in found.items()}


def price_at(table: Mapping[str, tuple[Floats, Floats]], sku: str, times: Floats) -> Floats:
    """Return the price of a core hour at each instant; the first known one holds before it, zero where none is."""
    if sku not in table:
        return np.zeros(len(times))
    since, usd = table[sku]
    return usd[np.maximum(np.searchsorted(since, times, side="right") - 1, 0)]


def read_books(lines: Sequence[Line], charges: Sequence[Charge], window: TimeRange) -> Books:
    """Put lines (of whole days where bills are concerned) and charges together for a window."""
    books = Books(window)
    start, end = window.start.timestamp(), window.end.timestamp()
    by_resource: dict[str, list[Charge]] = defaultdict(list)
    for charge in charges:
        if charge.latest.currency == CURRENCY and _touches(charge.latest, window):
            by_resource[charge.latest.resource or ""].append(charge)
    grouped: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.resource].append(line)
    for resource in sorted({*grouped, *by_resource}):
        _resource(books, grouped.get(resource, []), by_resource.get(resource, []), (start, end))
    _note_meter(books, lines, (start, end))
    return books


def _resource(books: Books, lines: Sequence[Line], charges: Sequence[Charge], window: tuple[float, float]) -> None:
    """Add one resource: each charge over its period (there may be several for one), and the metered rest."""
    asked = [(line.times >= window[0]) & (line.times < window[1]) for line in lines]
    open_ = list(asked)
    billed: dict[tuple[float, float], tuple[float, float]] = {}
    for charge in charges:
        record = charge.latest
        begin, stop = record.charge_start.timestamp(), record.charge_end.timestamp()
        books.restated += charge.restated
        inside = [(line.times >= begin) & (line.times < stop) for line in lines]
        metered = sum(float(line.usd[mask].sum()) for line, mask in zip(lines, inside, strict=True))
        if metered <= 0.0:
            share = Fraction(min(stop, window[1]) - max(begin, window[0])) / Fraction(stop - begin)
            books.pieces.append(_unmetered(record, lines, Fraction(record.billed) * share))
            continue
        if window[0] <= begin and stop <= window[1]:
            before = billed.get((begin, stop), (0.0, 0.0))[1]
            billed[begin, stop] = (metered, before + float(record.billed))
        for k, (line, mask) in enumerate(zip(lines, inside, strict=True)):
            part = float(line.usd[mask & asked[k]].sum())
            books.metered_and_billed_usd += float(line.usd[mask & open_[k]].sum())
            usd = Fraction(record.billed) * Fraction(part) / Fraction(metered)
            books.pieces.append(_piece(line, billed=usd))
            open_[k] = open_[k] & ~mask
    books.missed += billed.values()
    for line, mask in zip(lines, open_, strict=True):
        if mask.any():
            books.pieces.append(_piece(line, estimated=Fraction(float(line.usd[mask].sum()))))


def _note_meter(books: Books, lines: Sequence[Line], window: tuple[float, float]) -> None:
    if not lines:
        return
    times = lines[0].times
    step = float(times[1] - times[0]) if len(times) > 1 else 300.0
    held = times[(times >= window[0]) & (times < window[1])]
    books.metered_s = step * len(held)
    books.metered_until = datetime.fromtimestamp(float(times[-1]) + step, UTC)
    books.metered_usd = sum(
        float(line.usd[(line.times >= window[0]) & (line.times < window[1])].sum()) for line in lines
    )


def _touches(record: CostRecord, window: TimeRange) -> bool:
    return record.charge_start < window.end and record.charge_end > window.start


def _unmetered(record: CostRecord, lines: Sequence[Line], usd: Fraction) -> Piece:
    """A charge for a time nobody metered here: its own columns say what it is about, a line of today the rest."""
    tags = dict(record.tags)
    like = lines[0] if lines else None
    return Piece(
        resource=f"service/{tags['service']}" if tags.get("service") else record.resource or "(unnamed)",
        tenant=TenantId(tags.get("tenant") or (like.tenant if like else PLATFORM)),
        region=record.region or (like.region if like else "(none)"),
        node_pool=like.node_pool if like else "(none)",
        sku=record.sku or (like.sku if like else "(none)"),
        category=like.category if like else record.category.lower(),
        billed=usd,
        estimated=Fraction(0),
    )


def _piece(line: Line, billed: Fraction = Fraction(0), estimated: Fraction = Fraction(0)) -> Piece:
    return Piece(line.resource, line.tenant, line.region, line.node_pool, line.sku, line.category, billed, estimated)


def _line(series: UsageSeries, table: Mapping[str, tuple[Floats, Floats]]) -> Line:
    times, cores = _times(series), np.array(series.core_hours, dtype=np.float64)
    return Line(
        f"service/{series.service}", series.tenant, series.region, series.node_pool, series.sku, "compute", times,
        cores, np.array(series.replica_hours, dtype=np.float64), cores * price_at(table, series.sku, times),
    )  # fmt: skip


def _idle(
    series: UsageSeries, table: Mapping[str, tuple[Floats, Floats]], requested: Mapping[tuple[str, str], Floats]
) -> Line:
    times, cores = _times(series), np.array(series.core_hours, dtype=np.float64)
    key = (series.node_pool, series.sku)
    spare = cores - requested[key] if key in requested else cores
    return Line(
        f"node_pool/{series.node_pool}", series.tenant, series.region, series.node_pool, series.sku, "idle capacity",
        times, spare, np.zeros(0), spare * price_at(table, series.sku, times),
    )  # fmt: skip


def _times(series: UsageSeries) -> Floats:
    return series.start.timestamp() + series.step_s * np.arange(len(series.core_hours), dtype=np.float64)
