"""How often the canary judge is wrong, over many seeds, beside a trivial rule: stop when a mean is a fifth higher.

`python -P -m evals.canary_rates [--releases N]`. One release is twenty looks at four metrics (latency, memory, CPU,
failures), each look at the newest five minutes; latencies are lognormal, as wide as the seed says.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.canary import Amounts, Events, Floats, judge

LOOKS, WINDOW = 20, 5
"""Looks of a release that goes through, and how many of them one window spans."""
PER_LOOK = 60
"""Samples per version and look: a request a second."""
REQUESTS = 1200
FAILING = 0.002
TRIVIAL = 1.2
Draw = Callable[[np.random.Generator, float], Floats]


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of releases in which a look said roll back: within the first look, five looks, all looks."""

    name: str
    first: float
    five: float
    ever: float
    trivial: float
    """By the rule on the means of latency, memory and CPU, at any look."""


def _latency(rng: np.random.Generator, sigma: float) -> Floats:
    return np.exp(rng.normal(4.0, sigma, PER_LOOK))


def _level(factor: float) -> Draw:
    return lambda rng, sigma: factor * _latency(rng, sigma)


def _spread(factor: float) -> Draw:
    return lambda rng, sigma: np.exp(rng.normal(4.0, factor * sigma, PER_LOOK))


def _tail(share: float, times: float) -> Draw:
    def draw(rng: np.random.Generator, sigma: float) -> Floats:
        values = _latency(rng, sigma)
        return np.where(rng.random(PER_LOOK) < share, times * values, values)

    return draw


CANDIDATES: tuple[tuple[str, Draw, int], ...] = (
    ("A/A: the same version twice", _level(1.0), LOOKS),
    ("20 % of samples x 10", _tail(0.2, 10.0), WINDOW),
    ("5 % of samples x 10", _tail(0.05, 10.0), WINDOW),
    ("level x 1.1", _level(1.1), WINDOW),
    ("level x 1.25", _level(1.25), WINDOW),
    ("level x 1.5", _level(1.5), WINDOW),
    ("spread x 1.25", _spread(1.25), WINDOW),
    ("spread x 1.5", _spread(1.5), WINDOW),
    ("spread x 2", _spread(2.0), WINDOW),
)


def release(seed: int, candidate: Draw, looks: int) -> tuple[int | None, bool]:
    """Return the look at which the judge stopped it (None: never), and whether the trivial rule ever did."""
    rng = np.random.default_rng([20, seed])
    sigma = float(rng.uniform(0.3, 1.0))
    kept: list[tuple[Floats, ...]] = []
    events: list[tuple[int, int]] = []
    trivial, stopped = False, None
    for look in range(1, looks + 1):
        sides = (_latency(rng, sigma), candidate(rng, sigma))
        others = tuple(rng.normal(100.0, spread, PER_LOOK // 2) for spread in (2.0, 2.0, 5.0, 5.0))
        kept.append((*sides, *others))
        events.append((int(rng.binomial(REQUESTS, FAILING)), int(rng.binomial(REQUESTS, FAILING))))
        window = [np.concatenate([step[k] for step in kept[-WINDOW:]]) for k in range(6)]
        bad = np.sum(events[-WINDOW:], axis=0)
        whole = REQUESTS * min(len(events), WINDOW)
        metrics = (
            Amounts("latency_ms", window[0], window[1]), Amounts("memory_mib", window[2], window[3], 0.1),
            Amounts("cpu_ms", window[4], window[5], 0.1), Events("errors", (int(bad[0]), whole), (int(bad[1]), whole)),
        )  # fmt: skip
        trivial |= any(window[k + 1].mean() > TRIVIAL * window[k].mean() for k in (0, 2, 4))
        if stopped is None and judge(metrics, look=look).action == "rollback":
            stopped = look
    return stopped, bool(trivial)


def rates(name: str, candidate: Draw, looks: int, releases: int) -> Rates:
    """Return how often each of the two stops such a candidate."""
    found = [release(seed, candidate, looks) for seed in range(releases)]

    def by(limit: int) -> float:
        return sum(at is not None and at <= limit for at, _ in found) / releases

    return Rates(name, by(1), by(WINDOW), by(looks), sum(rule for _, rule in found) / releases)


def main() -> None:
    """Print a line per kind of candidate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=1000)
    releases = parser.parse_args().releases
    print(
        f"{'candidate':32} {'1st look':>9} {'5 looks':>9} {'all looks':>9} {'mean + 20 %':>12}   ({releases} releases)"
    )
    for name, candidate, looks in CANDIDATES:
        r = rates(name, candidate, looks, releases)
        print(f"{r.name:32} {r.first:9.1%} {r.five:9.1%} {r.ever:9.1%} {r.trivial:12.1%}")


if __name__ == "__main__":
    main()
