"""The cost service: keeps bills, books savings, works out advice by the hour, and answers what a place costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from analysis.signals import Floats
from domain.base import Frozen, TimeRange, UtcDatetime
from domain.costs import (
    Completeness,
    CostAnomaly,
    CostDimension,
    CostReport,
    MonthForecast,
    Recommendation,
    Saving,
    Savings,
)
from domain.desired import EnvironmentState
from domain.evidence import MetricSeries
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.topology import Topology
from runtime import state
from runtime.bills.ports import Billing, Price
from runtime.documents import Documents, Place
from runtime.parts import RuntimeParts
from runtime.planes import offered
from runtime.services.cost.advice import Estate, Use, advise
from runtime.services.cost.allocation import Ledger, bear, ledger
from runtime.services.cost.anomalies import BACK, unusual
from runtime.services.cost.bills import kept, take_in, take_in_files
from runtime.services.cost.books import Books, Line, lines_of, read_books
from runtime.services.cost.outlook import outlook
from runtime.services.cost.savings import Booking, booked, measured

ADVICE_EVERY: Final = timedelta(hours=1)
"""Advice rests on a day of use; an hour moves it little."""
ADVICE_FROM: Final = timedelta(days=7)
"""A week has every hour once; what is kept for less is what there is."""
MONTH_BACK: Final = timedelta(days=31)


class Advice(Frozen):
    """What was last recommended for an environment."""

    at: UtcDatetime
    recommendations: tuple[Recommendation, ...]


class Read(Frozen):
    """The newest desired version whose savings were booked."""

    version: int
    base: EnvironmentState


_ADVICE = Documents("cost_advice", Advice)
_BOOKINGS = Documents("cost_booking", Booking)
_READ = Documents("cost_read", Read)


@dataclass(frozen=True, slots=True)
class CostService:
    """Over the runtime's parts; nothing in it is state. Raises Unavailable where the target has no books."""

    parts: RuntimeParts

    @property
    def billing(self) -> Billing:
        """The target's books."""
        return offered(self.parts.planes.billing, "billing")

    async def turn(self) -> None:
        """The control loop: take in bills, book savings, and once an hour work advice out anew."""
        if self.parts.planes.billing is None:
            return
        with self.parts.database.read() as connection:
            environments = state.names(connection)
        for environment in environments:
            await take_in(self.parts, self.billing, environment)
            take_in_files(self.parts, environment)
            self._book(environment)
            await self._advise(environment)

    async def report(
        self, environment: EnvironmentId, tenant: TenantId, topology: Topology, window: TimeRange, by: CostDimension
    ) -> CostReport:
        """Return what the tenant's part costs in the window; `topology` is the whole one."""
        now = self.parts.clock.now()
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        first = min(_midnight(window.start), month, _midnight(now - BACK))
        lines = await lines_of(self.billing, environment, first, now)
        books, split = self._split(environment, topology, lines, window)
        _, month_split = self._split(environment, topology, lines, TimeRange(start=month, end=now))
        rows = split.rows(by, environment, tenant)
        recommendations = self.recommendations(environment, tenant)
        changes = await self.changes(environment, tenant, topology)
        return CostReport(
            environment=environment, tenant=tenant, window=window, at=now, by=by, rows=rows,
            total_cents=sum(row.total_cents for row in rows), completeness=_completeness(books, split, tenant),
            forecast=_forecast(lines, month_split, tenant, now), anomalies=_unusual(lines, tenant, now),
            recommendations=recommendations,
            savings=Savings(
                potential_usd_per_month=sum(r.saving_usd_per_month for r in recommendations),
                bookable_usd_per_month=sum(c.bookable_usd_per_month for c in changes),
                realised_usd=sum(c.realised_usd for c in changes),
            ),
            changes=changes,
        )  # fmt: skip

    async def anomalies(self, environment: EnvironmentId) -> tuple[CostAnomaly, ...]:
        """Return what is unusual now, over everybody."""
        now = self.parts.clock.now()
        return _unusual(await lines_of(self.billing, environment, now - BACK, now), PLATFORM, now)

    def recommendations(self, environment: EnvironmentId, tenant: TenantId) -> tuple[Recommendation, ...]:
        """Return what was last recommended to the tenant; all of it for the platform."""
        with self.parts.database.read() as connection:
            held = _ADVICE.get(connection, _of(environment), "latest")
        return tuple(r for r in (held.body.recommendations if held else ()) if tenant in (r.tenant, PLATFORM))

    async def changes(self, environment: EnvironmentId, tenant: TenantId, topology: Topology) -> tuple[Saving, ...]:
        """Return the tenant's changes for less of the last month, and what each has saved."""
        owner = {f"service/{s.id}": s.tenant for s in topology.services}
        now = self.parts.clock.now()
        with self.parts.database.read() as connection:
            bookings = [d.body for d in _BOOKINGS.list(connection, environment)]
        mine = [
            b
            for b in sorted(bookings, key=lambda b: b.at)
            if b.at >= now - MONTH_BACK and tenant in (PLATFORM, owner.get(b.resource, PLATFORM))
        ]
        if not mine:
            return ()
        lines = await lines_of(self.billing, environment, mine[0].at, now)
        return tuple(measured(mine, lines, await self.billing.prices(environment), now))

    def _split(
        self, environment: EnvironmentId, topology: Topology, lines: Sequence[Line], window: TimeRange
    ) -> tuple[Books, Ledger]:
        with self.parts.database.read() as connection:
            charges = kept(connection, environment)
            tenants = [b.tenant for b in state.bound_tenants(connection, environment)]
        books = read_books(lines, charges, window)
        return books, ledger(bear(books.pieces, topology, tenants))

    def _book(self, environment: EnvironmentId) -> None:
        """Walk the versions of desired state that are new since the last turn."""
        at, place = self.parts.clock.now(), _of(environment)
        with self.parts.database.read() as connection:
            held = _READ.get(connection, place, "desired")
            newest = state.current(connection, environment)
            came = state.versions(connection, environment, after=held.body.version) if held else []
        if held is not None and not came:
            return
        with self.parts.database.begin() as connection:
            base = held.body.base if held else newest.base
            for version in came:
                open_ones = [d.body for d in _BOOKINGS.list(connection, environment)]
                for booking in booked(open_ones, base, version):
                    _BOOKINGS.put(connection, place, f"{booking.resource}@{booking.key}", booking, at=at)
                base = version.desired.base
            read = came[-1].desired.version if came else newest.version
            expect = held.version if held else 0
            _READ.put(connection, place, "desired", Read(version=read, base=base), at=at, expect=expect)

    async def _advise(self, environment: EnvironmentId) -> None:
        now, place = self.parts.clock.now(), _of(environment)
        with self.parts.database.read() as connection:
            held = _ADVICE.get(connection, place, "latest")
            desired = state.current(connection, environment)
        if held is not None and now - held.body.at < ADVICE_EVERY:
            return
        topology = await self.parts.target.topology(environment)
        services = [f"service/{s.id}" for s in topology.services]
        series = await self.parts.target.series(environment, services, now - ADVICE_FROM, now)
        estate = Estate(
            topology=topology, state=desired.effective(now), prices=_latest(await self.billing.prices(environment)),
            lines=await lines_of(self.billing, environment, now - timedelta(hours=2), now),
            use=_use(series),
        )  # fmt: skip
        with self.parts.database.begin() as connection:
            _ADVICE.put(connection, place, "latest", Advice(at=now, recommendations=advise(estate)), at=now)


def _of(environment: EnvironmentId) -> Place:
    return Place(environment=environment, tenant=PLATFORM)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _latest(prices: Sequence[Price]) -> list[Price]:
    return list({price.sku: price for price in prices}.values())


def _unusual(lines: Sequence[Line], tenant: TenantId, now: datetime) -> tuple[CostAnomaly, ...]:
    """A tenant is told about its own services, and about the pools they run on with its own money only."""
    first = (now - BACK).timestamp()
    mine = [_from(line, first) for line in lines if tenant in (line.tenant, PLATFORM)]
    return unusual(mine)


def _from(line: Line, first: float) -> Line:
    kept_ = line.times >= first
    if kept_.all():
        return line
    replicas = line.replica_hours[kept_] if len(line.replica_hours) else line.replica_hours
    return Line(
        line.resource, line.tenant, line.region, line.node_pool, line.sku, line.category, line.times[kept_],
        line.core_hours[kept_], replicas, line.usd[kept_],
    )  # fmt: skip


def _completeness(books: Books, split: Ledger, tenant: TenantId) -> Completeness:
    mine = split.part(tenant)
    billed = sum((part.billed_usd for part in mine), start=0)
    total = sum((part.usd for part in mine), start=0)
    window_s = (books.window.end - books.window.start).total_seconds()
    billed_share = books.metered_and_billed_usd / books.metered_usd if books.metered_usd > 0 else float(bool(mine))
    metered_share = min(books.metered_s / window_s, 1.0)
    missed = sum(abs(estimate - bill) for estimate, bill in books.missed)
    billed_all = sum(abs(bill) for _, bill in books.missed)
    whole = round(total * 100)
    return Completeness(
        billed_cents=round(billed * 100), estimated_cents=whole - round(billed * 100),
        billed_share=min(billed_share, 1.0), metered_share=metered_share, metered_until=books.metered_until,
        restated=books.restated, estimate_error=missed / billed_all if billed_all > 0 else None,
        complete=billed_share > 1.0 - 1e-9,
    )  # fmt: skip


def _forecast(lines: Sequence[Line], month: Ledger, tenant: TenantId, now: datetime) -> MonthForecast | None:
    """The tenant's own hours carry the forecast; its shared and idle part rises and falls with them."""
    own = [line for line in lines if tenant in (line.tenant, PLATFORM)]
    hourly = _hourly(own)
    so_far = float(sum((part.usd for part in month.part(tenant)), start=0))
    direct = so_far if tenant == PLATFORM else float(
        sum((part.usd for part in month.part(tenant) if part.kind == "direct"), start=0)
    )  # fmt: skip
    return outlook(hourly * (so_far / direct if direct > 0 else 1.0), so_far, now)


def _hourly(lines: Sequence[Line]) -> Floats:
    """USD of whole hours, the last of which ends with the newest interval."""
    if not lines or len(lines[0].times) < 2:
        return np.zeros(0)
    per = round(3600.0 / float(lines[0].times[1] - lines[0].times[0]))
    usd = np.sum([line.usd for line in lines], axis=0)
    whole = len(usd) // per * per
    return usd[len(usd) - whole :].reshape(-1, per).sum(axis=1)


def _use(series: Sequence[MetricSeries]) -> dict[str, Use]:
    """Return what is known of each service that has all the metrics, gaps filled with the value before."""
    by: dict[str, dict[str, MetricSeries]] = {}
    for one in series:
        by.setdefault(one.entity.removeprefix("service/"), {})[one.metric] = one
    wanted = ("cpu_utilisation", "replicas_ready", "request_rate", "memory_mib", "restarts")
    return {
        name: Use(held["request_rate"].step_s, *(_filled(held[m]) for m in wanted))
        for name, held in by.items()
        if all(m in held for m in wanted)
    }


def _filled(series: MetricSeries) -> Floats:
    values = np.array([np.nan if v is None else v for v in series.values])
    known = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    return np.nan_to_num(values[known])
