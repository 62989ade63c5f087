"""PlanetLab: CPU use of virtual machines, requests fixed from the first half-day and judged on the second.

The day is 288 percentages, five minutes apart. The sizer and the simple rules get the first 144; violations are the
share of the other 144 above the request, reservation is the mean request. Layout: a folder of `<day>.tar.xz`, or one
of them, holding `<day>/<machine>`.
"""

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analysis.signals import Floats
from analysis.sizing import DRIFT, risk_curves, size
from domain.base import Frozen
from domain.errors import Invalid
from evals.datasets.lines import read_lines
from evals.datasets.scoring import Progress, Row, Scored, Told, Who, counted, unheard

Point = Literal["lean", "balanced", "safe"]
RISKS: Final[dict[Point, float]] = {"lean": 0.10, "balanced": 0.05, "safe": 0.01}
"""Expected share of intervals above the request, asked of the sizer: what p90, p95 and p99 promise and do not hold."""

SAMPLES: Final = 288
KNOWN: Final = 144
CEILING: Final = 100.0
PERCENTILES: Final = (*range(50, 100), 99.5, 100)
MARGINS: Final = tuple(1 + step / 20 for step in range(21))
"""Simple rules: a percentile of the first half, times a margin of 1 to 2, at most the whole machine."""

NAMED_RULES: Final = {"p90": 90, "p95": 95, "p99": 99, "maximum": 100}
DRIFTS: Final = (0.2, DRIFT, 0.4, 0.5, 0.6)
"""Settings among which leaving each day out chooses."""


class RequestLine(Frozen):
    """One line: the request of a machine at an operating point, in percent of its CPU."""

    vm: str
    point: Point
    request: float = Field(ge=0, le=CEILING)


class Outcome(NamedTuple):
    """Mean request, and share of intervals above it, both in %."""

    reserved: float
    violations: float


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Machines of some days: names (`day/machine`), the first half (machines x 144, in %), and what came after.

    `above` is the share of the second half above 0, 1, ... 100 % (machines x 101); usage is in whole percent.
    """

    names: tuple[str, ...]
    known: Floats
    above: Floats

    def judge(self, request: Floats) -> Outcome:
        """Return what requests reserve and how often the second half is above them."""
        share = self.above[np.arange(len(request)), request.astype(np.intp)]
        return Outcome(float(request.mean()), float(100 * share.mean()))


class PlanetLab:
    """The machines of all days; each day is one fleet."""

    name = "planetlab"
    places = "planetlab"

    def run(self, path: Path, *, rescore: Path | None = None, progress: Told = unheard) -> Scored:
        """Size every machine at three points from its first half, or read requests back, and judge the second half."""
        days = _fleets(path)
        whole = _joined(list(days.values()))
        wanted = [(name, point) for name in whole.names for point in get_args(Point)]
        if rescore is None:
            lines = _sized(days, progress)
        else:
            lines = read_lines(rescore, RequestLine, lambda line: (line.vm, line.point), wanted)
        rules = _rules(whole)
        rows = [row for point in get_args(Point) for row in _against(point, _judged(whole, lines, point), rules)]
        rows += [*_named(whole), *_daily(days, lines)]
        notes = (
            f"three requests for each of {len(whole.names)} machines, beside the best of {len(rules)} simple rules",
            "best: the leanest with no more violations than we have, the safest that reserves no more",
        )
        if rescore is None and len(days) > 1:
            notes = (*notes, *_left_out(days))
        return Scored(len(wanted), tuple(rows), tuple(lines[key] for key in wanted), notes)


def _sized(days: Mapping[str, Fleet], progress: Told) -> dict[tuple[str, Point], RequestLine]:
    lines: dict[tuple[str, Point], RequestLine] = {}
    for done, (day, fleet) in enumerate(days.items(), start=1):
        for point, risk in RISKS.items():
            sizing = size(fleet.known, risk, 1.0, ceiling=CEILING)
            for vm, request in zip(fleet.names, sizing.request.tolist(), strict=True):
                lines[vm, point] = RequestLine(vm=vm, point=point, request=request)
        progress(Progress(done, len(days), day))
    return lines


def _judged(fleet: Fleet, lines: Mapping[tuple[str, Point], RequestLine], point: Point) -> Outcome:
    return fleet.judge(np.array([lines[vm, point].request for vm in fleet.names]))


def _rules(fleet: Fleet) -> list[tuple[str, Outcome]]:
    """Return what every simple rule comes to."""
    percentiles = np.percentile(fleet.known, PERCENTILES, axis=1)
    return [
        (f"p{percentile:g} x {margin:.2f}", fleet.judge(np.minimum(CEILING, margin * values)))
        for percentile, values in zip(PERCENTILES, percentiles, strict=True)
        for margin in MARGINS
    ]


def _against(point: Point, ours: Outcome, rules: Sequence[tuple[str, Outcome]]) -> list[Row]:
    """Return our pair, the leanest rule with no more violations, and the safest that reserves no more.

    The targets are these two rules' figures: below both is strictly inside the frontier.
    """
    as_safe = [(got.reserved, name) for name, got in rules if got.violations <= ours.violations]
    as_lean = [(got.violations, name) for name, got in rules if got.reserved <= ours.reserved]
    best = (min(as_safe, default=None), min(as_lean, default=None))
    rows = _pair(point, ours, targets=(best[0] and best[0][0], best[1] and best[1][0]))
    for metric, rule in zip(("reserved", "violations"), best, strict=True):
        if rule is not None:
            rows.append(
                Row(metric=metric, part=point, who="floor", name=rule[1], value=rule[0], unit="%", better="lower")
            )
    return rows


def _named(fleet: Fleet) -> list[Row]:
    return [
        row
        for name, percentile in NAMED_RULES.items()
        for row in _pair("customary rule", fleet.judge(np.percentile(fleet.known, percentile, axis=1)), "floor", name)
    ]


def _daily(days: Mapping[str, Fleet], lines: Mapping[tuple[str, Point], RequestLine]) -> list[Row]:
    """Return the share of days on which no rule is as lean and as safe as we are, per point."""
    rules = {day: [got for _, got in _rules(fleet)] for day, fleet in days.items()}
    rows: list[Row] = []
    for point in get_args(Point):
        inside: list[bool] = []
        for day, fleet in days.items():
            ours = _judged(fleet, lines, point)
            inside.append(not any(r.reserved <= ours.reserved and r.violations <= ours.violations for r in rules[day]))
        rows.append(counted("days inside the rules' frontier", point, inside, target=1.0))
    return rows


def _pair(
    part: str,
    got: Outcome,
    who: Who = "ours",
    name: str = "",
    targets: tuple[float | None, float | None] = (None, None),
) -> list[Row]:
    return [
        Row(metric=metric, part=part, who=who, name=name, value=value, unit="%", better="lower", target=target)
        for metric, value, target in zip(("reserved", "violations"), got, targets, strict=True)
    ]


def _left_out(days: Mapping[str, Fleet]) -> list[str]:
    """Choose the sizer's one constant on all days but one, and say what that one then comes to.

    Best is the lowest mean log cost (price x reservation + violations) at the prices of the three points.
    """
    curves = {
        (day, drift): risk_curves(one.known, 1.0, ceiling=CEILING, drift=drift)
        for day, one in days.items()
        for drift in DRIFTS
    }
    fleet = _joined(list(days.values()))
    prices = [size(fleet.known, risk, 1.0, ceiling=CEILING).price for risk in RISKS.values()]

    def cost(day: str, drift: float) -> float:
        paid = [(price, days[day].judge(curves[day, drift].at_price(price).request)) for price in prices]
        return sum(float(np.log(100 * price * got.reserved + got.violations)) for price, got in paid)

    notes: list[str] = []
    for held in days:
        drift = min(DRIFTS, key=lambda one: sum(cost(day, one) for day in days if day != held))
        outcomes = [
            (point, days[held].judge(curves[held, drift].at_risk(risk).request)) for point, risk in RISKS.items()
        ]
        said = ", ".join(f"{point} {got.reserved:.1f} % / {got.violations:.2f} %" for point, got in outcomes)
        notes.append(f"left out {held}: drift {drift} chosen on the other days gives {said} (reserved / violations)")
    return notes


def _joined(fleets: Sequence[Fleet]) -> Fleet:
    return Fleet(
        tuple(name for one in fleets for name in one.names),
        np.concatenate([one.known for one in fleets]),
        np.concatenate([one.above for one in fleets]),
    )


def _fleets(path: Path) -> dict[str, Fleet]:
    archives = sorted(path.glob("*.tar.xz")) if path.is_dir() else [path]
    if not archives:
        raise Invalid(f"{path}: no <day>.tar.xz below", reason="layout")
    return {archive.name.removesuffix(".tar.xz"): _fleet(archive) for archive in archives}


def _fleet(archive: Path) -> Fleet:
    use: dict[str, NDArray[np.intp]] = {}
    try:
        with tarfile.open(archive) as members:
            for member in members:
                file = members.extractfile(member)
                if file is not None:
                    use[member.name.removeprefix("./")] = np.array([int(word) for word in file.read().split()], np.intp)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise Invalid(f"{archive} is no archive of usage: {error}", reason="layout") from error
    wrong = [name for name, one in use.items() if len(one) != SAMPLES or one.min() < 0 or one.max() > CEILING]
    if wrong or not use:
        raise Invalid(f"{archive}: {len(wrong)} of {len(use)} machines without {SAMPLES} percentages", reason="layout")
    table = np.stack(list(use.values()))
    later = np.sort(table[:, KNOWN:], axis=1)
    counts = np.stack([np.searchsorted(one, np.arange(int(CEILING) + 1), side="right") for one in later])
    return Fleet(tuple(use), table[:, :KNOWN].astype(np.float64), 1 - counts / later.shape[1])
