"""Burn-rate rules that services bring themselves: each a long and a short window over the error budget.

A rule fires when the budget has gone too fast over both of its windows (SRE workbook, chapter 5: the long one says
that it matters, the short one that it still goes on), once until the short window has calmed down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.base import Severity
from domain.catalogue import SloBurn
from domain.desired import ServiceState
from domain.policies import BurnRule
from runtime.simulator.layout import Layout
from runtime.simulator.plant import Readings
from runtime.simulator.queueing import Floats
from runtime.simulator.sensors import SLOW_BUDGET, Finding

# A window says little before a tenth of its short part has been seen; the rule waits for that.
SEEN = 0.1
_SEVERITY: dict[str, Severity] = {"page": "critical", "ticket": "warning"}


@dataclass(slots=True)
class _Watch:
    """One rule of one service: requests, failed and slow ones as exponential means over both windows."""

    rule: BurnRule
    age_s: float = 0.0
    open: bool = False
    sums: Floats | None = None


class BurnRules:
    """Follows the rules services have, and returns what fires."""

    def __init__(self, layout: Layout, step_s: float) -> None:
        self._layout, self._step_s = layout, step_s
        self._watched: dict[str, list[_Watch]] = {}

    def follow(self, services: Mapping[str, ServiceState]) -> None:
        """Take up what services have now; a rule that stays keeps what it has seen."""
        for name, state in services.items():
            known = {watch.rule: watch for watch in self._watched.get(name, ())}
            rules = state.health.burn_rules
            if rules:
                self._watched[name] = [known.get(rule) or _Watch(rule) for rule in rules]
            else:
                self._watched.pop(name, None)

    @property
    def services(self) -> tuple[str, ...]:
        """Services that have rules of their own."""
        return tuple(self._watched)

    def observe(self, readings: Readings) -> list[Finding]:
        """Return what fires in this step."""
        return [
            Finding(self._layout.service_index[name], "runtime.slo.burn.v1", data, _SEVERITY[watch.rule.urgency])
            for name, watches in self._watched.items()
            for watch in watches
            if (data := self._look(name, watch, readings)) is not None
        ]

    def _look(self, service: str, watch: _Watch, readings: Readings) -> SloBurn | None:
        columns, rule = self._layout.columns(service), watch.rule
        rate = readings.request_rate[columns]
        now = np.array([
            rate.sum(), (rate * readings.error_share[columns]).sum(), (rate * readings.slow_share[columns]).sum()
        ])  # fmt: skip
        windows = np.array([rule.short_window_s, rule.long_window_s], dtype=np.float64)
        keep = np.exp(-self._step_s / windows)[:, None]
        before = np.zeros((2, 3)) if watch.sums is None else watch.sums
        watch.sums = keep * before + (1.0 - keep) * now
        watch.age_s += self._step_s
        if watch.age_s < SEEN * rule.short_window_s:
            return None
        target = self._layout.services[self._layout.service_index[service]].slo.availability_target
        shares = watch.sums[:, 1:] / np.maximum(watch.sums[:, :1], 1e-9)
        # What lies before the rule's first step is taken as without failures: a new rule does not page for old ones.
        lived = np.array([1.0, 1.0 - np.exp(-watch.age_s / rule.long_window_s)])
        burn = (shares / np.array([1.0 - target, SLOW_BUDGET])).max(axis=1) * lived
        above = bool((burn > rule.burn_rate).all())
        fired, watch.open = above and not watch.open, above or (watch.open and bool(burn[0] > rule.burn_rate / 2.0))
        if not fired:
            return None
        return SloBurn(
            service=service, burn_rate=round(float(burn[1]), 2), window_s=rule.long_window_s, objective=target,
            message=f"error budget burns {burn[1]:.1f} times too fast over {rule.long_window_s / 3600:g} h",
        )  # fmt: skip
