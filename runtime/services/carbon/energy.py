"""From core hours and CPU use to energy, embodied carbon and emissions, with the uncertainty of each stated.

Power is linear between idle and full load; the embodied share is time share x resource share of a server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from analysis.signals import Floats
from domain.carbon import Estimate
from runtime.grid.ports import GridPoint

IDLE_W_PER_CORE: Final = 0.78
FULL_W_PER_CORE: Final = 3.76
"""Watts per vCPU, averages for Azure (Cloud Carbon Footprint methodology)."""
PUE: Final = 1.185
"""Power usage effectiveness of Azure data centres (same source)."""
UNREAD_USE: Final = 0.5
"""Use where none was read: what Cloud Carbon Footprint assumes."""
SERVER_G: Final = 1_200_000.0
"""gCO2e of making a two-socket server: Cloud Carbon Footprint's base of 1000 kg and 100 kg for each CPU."""
SERVER_CORES: Final = 96
"""vCPUs of the largest machine type of the families in use: one such machine is one server."""
SERVER_HOURS: Final = 4 * 8760
"""Four years of service (same source)."""
EMBODIED_G_PER_CORE_HOUR: Final = SERVER_G / SERVER_CORES / SERVER_HOURS
POWER_SD: Final = 0.43
"""Relative standard uncertainty of power: root mean square by which the source's own figures of seven processor
generations (Haswell 1.90 to 5.99 W, Zen 2 0.47 to 1.64 W per vCPU) miss that average at three tenths of use. Which of
them a machine type runs on is not told."""
PUE_SD, EMBODIED_SD = 0.05, 0.3
"""Relative standard uncertainties. Assumed, not measured: the sources give averages without a spread. PUE: one figure
stands for every site; embodied: one server stands for all."""
Z90: Final = 1.645
"""Normal quantile of a central 90 %."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One thing's energy and embodied carbon in a window."""

    energy_kwh: float
    embodied_g: float
    core_hours: float
    read_core_hours: float
    requests: float = 0.0


def requested(core_hours: Floats, use: Floats, requests: float) -> Amount:
    """Return what requested cores took, per interval; `use` is of the request, NaN where it was not read."""
    read = np.isfinite(use)
    busy = np.where(read, use, UNREAD_USE)
    watt_hours = core_hours * (IDLE_W_PER_CORE + busy * (FULL_W_PER_CORE - IDLE_W_PER_CORE)) * PUE
    whole = float(core_hours.sum())
    return Amount(
        float(watt_hours.sum()) / 1000.0,
        whole * EMBODIED_G_PER_CORE_HOUR,
        whole,
        float(core_hours[read].sum()),
        requests,
    )


def idle(core_hours: float) -> Amount:
    """Return what cores of nodes took that nobody requested: known without a reading."""
    energy = core_hours * IDLE_W_PER_CORE * PUE / 1000.0
    return Amount(energy, core_hours * EMBODIED_G_PER_CORE_HOUR, core_hours, core_hours)


def estimate(mean: float, sd: float) -> Estimate:
    """Return the mean with its interval, never below zero."""
    return Estimate(mean=mean, low=max(mean - Z90 * sd, 0.0), high=mean + Z90 * sd)


def energy_sd(kwh: float) -> float:
    """Standard uncertainty of energy: the power and the PUE are off everywhere alike."""
    return kwh * sqrt(POWER_SD**2 + PUE_SD**2)


def emission_sd(
    kwh_by_region: Mapping[str, float], grams_per_kwh: Mapping[str, float], sds: Mapping[str, float]
) -> float:
    """First-order propagation (JCGM 100:2008, 5.1): common error of energy, own error of each grid."""
    grams = {region: kwh * grams_per_kwh[region] for region, kwh in kwh_by_region.items()}
    common = energy_sd(sum(grams.values()))
    return sqrt(common**2 + sum((g * sds[region]) ** 2 for region, g in grams.items()))


def market_of(points: Sequence[GridPoint]) -> dict[str, float] | None:
    """Return gCO2e per kWh by contract or residual mix, None where a region has none: bases are never mixed."""
    found = {p.region: p.market_g_per_kwh for p in points if p.market_g_per_kwh is not None}
    return found if len(found) == len(points) else None
