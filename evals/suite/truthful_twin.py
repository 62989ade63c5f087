"""A twin that cheats: it rehearses in copies of the very world, fault included. For showing what honest error is."""

from copy import deepcopy
from datetime import timedelta

import numpy as np

from domain.commands import Prediction, Proposal, Quantity
from domain.evidence import EvidencePack
from evals.episodes.measures import usd_and_grams_per_hour
from evals.right_answers import carry_out
from runtime.simulator.world import World

LATE = 3
"""Latency, errors, cost and carbon are those of the last third of the horizon, as the honest twin states them."""


class TruthfulTwin:
    """A Rehearsal over the real future."""

    def __init__(self, world: World) -> None:
        self._world = world

    def rehearse(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> Prediction:
        """Live through the horizon twice and return the difference, without any doubt about it."""
        without, changed = deepcopy(self._world), deepcopy(self._world)
        carry_out(changed, proposal, f"rehearsed-{proposal.kind}-{len(changed.effects)}")
        symptom = pack.symptom.partition("/")[2]
        totals: list[tuple[float, ...]] = []
        for world in (without, changed):
            world.advance(world.now + timedelta(seconds=horizon_s))
            totals.append(_totals(world, symptom, horizon_s))
        change = [b - a for a, b in zip(*totals, strict=True)]
        slo, p95, errors, cost, carbon = (Quantity(value=v, low=v, high=v) for v in change)
        return Prediction(
            known=True, horizon_s=horizon_s, slo_attainment=slo, latency_p95_ms=p95, error_rate=errors,
            cost_usd_per_hour=cost, carbon_g_per_hour=carbon, fit=1.0, note="fed the truth",
        )  # fmt: skip


def _totals(world: World, service: str, horizon_s: int) -> tuple[float, ...]:
    history = world.history
    if service not in world.layout.service_index:
        service = world.layout.services[0].id
    columns = world.layout.columns(service)
    steps = history.rows(history.count - horizon_s // world.spec.step_s, history.count)
    late = steps[-max(1, len(steps) // LATE) :]
    rate = history.truth("request_rate", steps, columns) + 1e-9
    good = (1.0 - history.truth("error_share", steps, columns)) * (1.0 - history.truth("slow_share", steps, columns))
    weight = history.truth("request_rate", late, columns) + 1e-9
    usd, grams = usd_and_grams_per_hour(world, late)
    return (
        float((rate * good).sum() / rate.sum()),
        float(np.average(history.truth("latency_p95_ms", late, columns), weights=weight)),
        float(np.average(history.truth("error_share", late, columns), weights=weight)),
        usd,
        grams,
    )
