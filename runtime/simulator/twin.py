"""The digital twin: what would a command change, from readings alone.

The plant is fitted to the pack's newest minutes and run over the horizon twice per draw, with and without the command,
under the same noise and the same guesses about what readings cannot tell (common random numbers). Differences are given
with 90 % intervals over the draws. Below `FIT_BOUND`, or for kinds and values nobody has seen, the answer is unknown.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.commands import Prediction, Proposal, Quantity
from domain.errors import Invalid
from domain.evidence import EvidencePack
from runtime.simulator.fit import Fitted, fit
from runtime.simulator.layout import Layout
from runtime.simulator.live import Live, Traits
from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream
from runtime.simulator.twin_effects import Effect, effect_of
from runtime.simulator.twin_intervals import Basis, Name, group_of, quantity
from runtime.simulator.twin_model import bursts, picture, region_shares, usd_per_core_hour
from runtime.simulator.twin_places import confine, disturb, stopped
from runtime.simulator.twin_run import Guesses, Run, Totals, compare
from runtime.simulator.windowed import RECENT, latest, quiet_minutes, read_window, since_last_break

# A twin that explains less than 60 % of what it was fitted on is not asked about what it was not.
FIT_BOUND = 0.6
LEVELS: tuple[Name, ...] = ("slo_attainment", "latency_p95_ms", "error_rate")
# A p95 fitted four times too high or low at the service in question explains nothing of it; twice, half. What
# predicts no change there does not rest on that.
STRANGE = float(np.log(4.0))
# Below it intervals widen in proportion, up to tenfold.
LEAST_FIT = FIT_BOUND / 10.0
DRAWS = 12
# Four waves of half a minute to a minute; what is read before is a mixture of two versions.
ROLLED_OUT = timedelta(minutes=3)


@dataclass(slots=True)
class _Fit:
    layout: Layout
    live: Live
    fitted: Fitted
    before: Fitted | None
    price: Floats


@dataclass(slots=True, frozen=True)
class Drawn:
    """What the draws say, before the model's own error is added."""

    entity: str
    quality: float
    basis: Basis
    without: Totals
    change: Totals


class Twin:
    """A Rehearsal. `seed` is the twin's own; it shares nothing with any world."""

    def __init__(self, seed: int = 7, *, draws: int = DRAWS) -> None:
        self._seed, self._draws = seed, draws

    def rehearse(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> Prediction:
        """Change against doing nothing: SLO attainment over the horizon, the rest over its last third.

        SLO attainment, p95 and error rate are those of the symptom's service (the target's, where the symptom is no
        service); cost and carbon those of the environment.
        """
        try:
            drawn = self.draw(pack, proposal, horizon_s=horizon_s)
        except Invalid as reason:
            return Prediction(known=False, horizon_s=horizon_s, note=str(reason))
        doubt = max(1.0, FIT_BOUND / max(drawn.quality, LEAST_FIT))
        note = "" if drawn.quality >= FIT_BOUND else f"fit {drawn.quality:.2f} is below {FIT_BOUND}"

        def told(name: Name) -> Quantity:
            return quantity(drawn.basis, name, getattr(drawn.change, name), getattr(drawn.without, name), doubt=doubt)

        return Prediction(
            known=not note, horizon_s=horizon_s, entity=drawn.entity, fit=round(drawn.quality, 3), note=note,
            slo_attainment=told("slo_attainment"), latency_p95_ms=told("latency_p95_ms"),
            error_rate=told("error_rate"), cost_usd_per_hour=told("cost_usd_per_hour"),
            carbon_g_per_hour=told("carbon_g_per_hour"),
        )  # fmt: skip

    def draw(self, pack: EvidencePack, proposal: Proposal, *, horizon_s: int) -> "Drawn":
        """Run both arms; raises Invalid where the twin has nothing to go by."""
        effect = effect_of(pack, proposal)
        fitted = self._fit(pack, effect)
        focus = _focus(pack, proposal, fitted.layout)
        without, change = self._compare(fitted, effect, focus, horizon_s)
        quality, here = fitted.fitted.quality, 1.0 - float(fitted.fitted.strange[focus].max()) / STRANGE
        if any(group_of("modelled", n, getattr(change, n)) == "modelled" for n in LEVELS):
            quality = max(0.0, min(quality, here))
        entity = fitted.layout.rows[focus[0]].address
        return Drawn(entity, quality, "measured" if effect.as_before else "modelled", without, change)

    def _fit(self, pack: EvidencePack, effect: Effect) -> _Fit:
        end = latest(pack)
        layout, live = picture(pack, pack.baseline.start, pack.baseline.end)
        entities = [s.address for s in layout.spec.services]
        shares = region_shares(pack, layout)
        start = since_last_break(pack, [a for a in (pack.symptom, f"service/{effect.service}") if a in entities], end)
        now = {e: read_window(pack.series, e, start, end) for e in entities}
        if not any(r.complete for r in now.values()):
            raise Invalid("no service has readings of load, errors and latency")
        if effect.service and effect.service not in layout.service_index:
            raise Invalid(f"{effect.service} is not in view")
        if effect.service and not now[f"service/{effect.service}"].complete:
            raise Invalid(f"the readings of {effect.service} are not complete")
        past_end = min(effect.changed_at or pack.baseline.end, pack.baseline.end)
        past = {e: read_window(pack.series, e, past_end - 3 * RECENT, past_end) for e in entities}
        layout.plant.burst = bursts(pack, layout)
        before = fit(layout, live, past, _even(layout))
        layout.plant.graph.weight[:] = 1.0
        layout.plant.burst = stopped(pack, layout)
        disturb(pack, layout)
        changed = effect.service if effect.as_before else ""
        since = _since_change(pack, effect, layout, live, before, start)
        fitted = fit(layout, live, now, shares, prior=since or before, changed="" if since else changed)
        if since is not None:
            columns = layout.columns(effect.service)
            fitted.leak_mib_per_krequest[columns] = since.leak_mib_per_krequest[columns]
        _split_leak(fitted, before)
        confine(pack, layout, fitted, before)
        if effect.as_before and not past[f"service/{effect.service}"].complete:
            raise Invalid(f"nothing was read of {effect.service} before {past_end:%H:%M}")
        return _Fit(layout, live, fitted, before, usd_per_core_hour(pack, layout))

    def _compare(self, fitted: _Fit, effect: Effect, focus: list[int], horizon_s: int) -> tuple[Totals, Totals]:
        rng, size, quality = stream(self._seed, "twin"), fitted.layout.size, fitted.fitted.quality
        guesses = Guesses.drawn(rng, self._draws, size, horizon_s, quality)
        shared = Run(fitted.layout, fitted.live, fitted.fitted, fitted.price, focus)
        return compare(shared, guesses, effect.arm(_traits(fitted, effect)), horizon_s)


def _since_change(
    pack: EvidencePack, effect: Effect, layout: Layout, live: Live, before: Fitted, until: datetime
) -> Fitted | None:
    """The plant in the quietest minutes between the change and "now": its new nature, without the queues of today."""
    if not effect.as_before or effect.changed_at is None:
        return None
    quiet = quiet_minutes(pack.series, f"service/{effect.service}", effect.changed_at + ROLLED_OUT, until)
    if quiet is None:
        return None
    then = {s.address: read_window(pack.series, s.address, *quiet) for s in layout.rows}
    fitted = fit(layout, live, then, _even(layout), prior=before, changed=effect.service)
    layout.plant.graph.weight[:] = 1.0
    return fitted


def _even(layout: Layout) -> Floats:
    return np.array([1.0 / len(s.regions) for s in layout.rows])


def _traits(fitted: _Fit, effect: Effect) -> Traits | None:
    """How the earlier version behaves against the present one: both as fitted, before and after the change."""
    if not effect.as_before or fitted.before is None:
        return None
    columns = fitted.layout.columns(effect.service)
    now, was = fitted.fitted, fitted.before
    return Traits(
        cpu_factor=float((was.cpu_ms[columns] / now.cpu_ms[columns]).mean()),
        io_factor=float((was.io_ms / now.io_ms)[columns].mean()),
        error_add=float((was.error_share - now.error_share)[columns].mean()),
        leak_mib_per_krequest=float((was.leak_mib_per_krequest - now.leak_mib_per_krequest)[columns].mean()),
    )


def _split_leak(fitted: Fitted, before: Fitted) -> None:
    """Memory beyond the earlier level counts as leaked where memory is still rising; the rest is the working set."""
    leaking = (fitted.leak_mib_per_krequest > 0.0) & (fitted.memory_base_mib > before.memory_base_mib)
    leaked = np.where(leaking, fitted.memory_base_mib - before.memory_base_mib, 0.0)
    fitted.leaked_mib = leaked
    fitted.memory_base_mib = fitted.memory_base_mib - leaked


def _focus(pack: EvidencePack, proposal: Proposal, layout: Layout) -> list[int]:
    for address in (pack.symptom, proposal.target.address):
        kind, _, name = address.partition("/")
        if kind == "service" and name in layout.service_index:
            return layout.columns(name)
    raise Invalid("neither the symptom nor the target is a service of the topology")
