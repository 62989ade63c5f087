"""Excess work: what an entity's requests cost beyond the usual, in milliseconds or failed requests per sample.

Volume times deviation is the one quantity that adds up along a call graph: time lost in a callee is lost in its
caller too. So the excess of different entities can be compared and subtracted, which scores per series cannot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from analysis import constants as c
from analysis.changes import Deviation, deviate
from analysis.signals import Dimension, Floats, SignalSeries

_CARRIERS = ("average", "avg", "mean", "p95", "p90", "p50", "p99")
"""Which statistic carries an entity's latency: the mean times the count is the total; tails stand in for it."""

KINDS: Mapping[Dimension, tuple[str, ...]] = {"latency": ("latency",), "failures": ("errors", "availability")}


def _preference(series: SignalSeries) -> tuple[int, str, str]:
    name = series.statistic.lower()
    return (_CARRIERS.index(name) if name in _CARRIERS else len(_CARRIERS), name, series.metric)


def _carriers(series: Iterable[SignalSeries], dimension: Dimension) -> dict[str, SignalSeries]:
    chosen: dict[str, SignalSeries] = {}
    for one in series:
        if one.kind in KINDS[dimension]:
            held = chosen.get(one.entity)
            if held is None or _preference(one) < _preference(held):
                chosen[one.entity] = one
    return chosen


def _volumes(series: Iterable[SignalSeries]) -> dict[str, SignalSeries]:
    return {one.entity: one for one in series if one.kind == "traffic"}


def _bad(series: SignalSeries, values: Floats) -> Floats:
    """Orient so that up is bad: availability becomes its complement."""
    if series.kind != "availability":
        return values
    return (1.0 - values) if series.unit == "ratio" else -values


def _floor(series: SignalSeries, center: float, volume: float, dimension: Dimension) -> float:
    absolute = c.ABSOLUTE_FLOOR.get((series.kind, series.unit), 0.0)
    if dimension == "failures":
        return max(volume * absolute, c.HALF_COUNT if series.unit == "ratio" and volume > 1 else absolute)
    return volume * max(absolute, c.RELATIVE_FLOOR * abs(center))


def _weighted(values: Floats, volume: Floats, center: float, usual: float) -> Floats:
    """Return min(volume, cap) x (value - center); a sample without requests costs nothing."""
    capped = np.minimum(np.nan_to_num(volume), c.VOLUME_CAP * usual)
    return np.where((capped > 0) & np.isfinite(values), capped * (values - center), 0.0)


def _one(series: SignalSeries, volume: SignalSeries | None, stand_in: float, dimension: Dimension) -> Deviation | None:
    baseline, current = _bad(series, series.baseline), _bad(series, series.current)
    if not np.isfinite(baseline).any() or not len(current):
        return None
    center = float(np.nanmedian(baseline))
    if volume is None or volume.baseline.shape != baseline.shape or volume.current.shape != current.shape:
        floor = _floor(series, center, stand_in, dimension)
        return deviate(series.entity, stand_in * baseline, stand_in * current, floor, (series.ref,))
    usual = float(np.median(np.nan_to_num(volume.baseline)))
    before = _weighted(baseline, volume.baseline, center, usual)
    during = _weighted(current, volume.current, center, usual)
    floor = _floor(series, center, max(usual, 1.0), dimension)
    found = deviate(series.entity, before, during, floor, (series.ref, volume.ref))
    typical = float(np.median(_weighted(baseline, volume.baseline, 0.0, usual)))
    return None if found is None else replace(found, usual=typical)


def excesses(series: tuple[SignalSeries, ...], dimension: Dimension) -> dict[str, Deviation]:
    """Return the excess of every entity that has a series of the dimension.

    Entities without a traffic series stand in with the median traffic of the others (1 when nobody has any).
    """
    volumes = _volumes(series)
    usual = [float(np.nanmedian(one.baseline)) for one in volumes.values() if np.isfinite(one.baseline).any()]
    stand_in = max(float(np.median(usual)), 1.0) if usual else 1.0
    carriers = _carriers(series, dimension)
    found = ((entity, _one(one, volumes.get(entity), stand_in, dimension)) for entity, one in carriers.items())
    return {entity: deviation for entity, deviation in found if deviation is not None}


def saturations(series: tuple[SignalSeries, ...]) -> dict[str, Deviation]:
    """Return per entity its most deviating saturation series. Saturation is local: it does not travel along calls."""
    best: dict[str, Deviation] = {}
    for one in series:
        if one.kind != "saturation" or not np.isfinite(one.baseline).any():
            continue
        center = abs(float(np.nanmedian(one.baseline)))
        absolute = c.ABSOLUTE_FLOOR.get((one.kind, one.unit), 0.0)
        floor = max(absolute, c.RELATIVE_FLOOR * center) or c.HALF_COUNT
        found = deviate(one.entity, one.baseline, one.current, floor, (one.ref,))
        if found is not None and (one.entity not in best or found.score > best[one.entity].score):
            best[one.entity] = found
    return best


def gone_quiet(series: tuple[SignalSeries, ...]) -> dict[str, tuple[str, ...]]:
    """Return entities all of whose series had samples before and have none now, with the series' refs."""
    before: dict[str, list[SignalSeries]] = {}
    for one in series:
        if len(one.current) and len(one.baseline) and np.isfinite(one.baseline).mean() >= 0.5:  # usually reports
            before.setdefault(one.entity, []).append(one)
    silent = {e for e, held in before.items() if not any(np.isfinite(one.current).any() for one in held)}
    if len(silent) == len(before):  # the collector is gone, not the entities
        return {}
    return {entity: tuple(one.ref for one in before[entity]) for entity in sorted(silent)}
