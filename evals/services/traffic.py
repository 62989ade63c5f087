"""Releases: bad candidates are taken back before many users met them, good ones go through, and splits are believed
only as far as they are observed.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from domain.ids import EnvironmentId
from domain.policies import ReleasePolicy, TrafficStep
from domain.releases import ServiceReading, VersionReading
from evals.service_cases import Case, Check, Measured
from evals.services.traffic_place import CANDIDATE, TrafficPlace, over, traffic_place
from runtime.ports import TrafficPlane
from runtime.simulator.live import Traits
from runtime.simulator.world import World
from runtime.targets.traffic import SimulatedTraffic

BAD: dict[str, Traits] = {
    "errors": Traits(error_add=0.05),
    "latency": Traits(cpu_factor=1.2, io_add_ms=60.0),
    "leak": Traits(leak_mib_per_krequest=40.0),
    "crash_loop": Traits(exits_after_s=45.0),
}
# A release without steps puts everybody on it until somebody looks: the same hold at once, to everybody.
BIG_BANG = ReleasePolicy(candidate=CANDIDATE, strategy="blue_green", steps=(TrafficStep(share=1.0, hold_s=300),))
CANARY = ReleasePolicy(candidate=CANDIDATE)
MOST_SERVED = CANARY.steps[0].share
"""Of the requests since it began, what a bad candidate may have answered: none beyond its first step."""
Measures = Callable[[World], TrafficPlane]


class Alike:
    """A plane that tells of the candidate what the former version did: the planted break of every judgement."""

    def __init__(self, world: World) -> None:
        self._held = SimulatedTraffic(world)

    async def versions(
        self, environment: EnvironmentId, service: str, start: datetime, end: datetime
    ) -> tuple[VersionReading, ...]:
        """Return readings in which only the numbers of requests differ."""
        read = await self._held.versions(environment, service, start, end)
        former = next((r for r in read if r.version != CANDIDATE), None)
        if former is None:
            return read
        failing = former.failed / max(former.requests, 1)
        return tuple(
            former.model_copy(
                update={"version": r.version, "requests": r.requests, "failed": round(failing * r.requests)}
            )
            for r in read
        )

    async def served(self, environment: EnvironmentId, service: str, start: datetime, end: datetime) -> ServiceReading:
        """Return what is measured of the whole service, as it is."""
        return await self._held.served(environment, service, start, end)


async def _released(
    seed: int, folder: Path, traits: Traits, plan: ReleasePolicy = CANARY, measures: Measures = SimulatedTraffic
) -> TrafficPlace:
    place = traffic_place(seed, folder, traits, measures)
    await place.release(plan)
    await place.live(60, until=over)
    await place.live(1)
    return place


async def _bad(seed: int, folder: Path, measures: Measures = SimulatedTraffic) -> Measured:
    worst, back, served, big_bang = 0.0, 0, 0.0, 0.0
    for name, traits in BAD.items():
        place = await _released(seed, folder / name, traits, measures=measures)
        back += place.standing.phase == "rolled_back" and place.world.live.beside == {}
        share = place.candidate_served() / place.requests()
        served, worst = served + place.candidate_served(), max(worst, share)
        bang = await _released(seed, folder / f"{name}-at-once", traits, BIG_BANG, measures)
        big_bang += bang.candidate_served()
    return Measured(
        checks=(
            Check(name="bad candidates rolled back", value=back, bound=len(BAD)),
            Check(name="largest share of requests that met one", value=worst, bound=MOST_SERVED, at="most"),
            Check(name="requests served badly, against everybody at once", value=served / max(big_bang, 1.0),
                  bound=0.1, at="most"),
        ),
        figures={"requests_canary": served, "requests_big_bang": big_bang},
        reference="the same candidates given to everybody at once, watched by the same judge",
    )  # fmt: skip


async def _bad_unseen(seed: int, folder: Path) -> Measured:
    return await _bad(seed, folder, Alike)


async def _good(seed: int, folder: Path, traits: Traits = Traits()) -> Measured:  # noqa: B008  # frozen
    place = await _released(seed, folder / "canary", traits)
    state = place.standing
    runs = place.world.live.services[place.service].version == CANDIDATE
    before = place.world.now
    if state.phase == "promoted":
        await place.write("traffic", "release", "intent", value="abort")
        await place.live(5, until=lambda p: p.world.live.services[p.service].version != CANDIDATE)
    back_s = (place.world.now - before).total_seconds()
    taken_back = place.world.live.services[place.service].version != CANDIDATE
    return Measured(
        checks=(
            Check(name="good candidate promoted", value=float(state.phase == "promoted" and runs), bound=1.0),
            Check(name="taken back afterwards", value=float(taken_back), bound=1.0),
            Check(name="seconds back to the former version", value=back_s, bound=90.0, at="most"),
        ),
        figures={"minutes": (state.since - state.history[0].at).total_seconds() / 60 if state.history else 0.0,
                 "looks": state.looks},
        reference="one command; three half-minute turns",
    )  # fmt: skip


async def _good_but_bad(seed: int, folder: Path) -> Measured:
    return await _good(seed, folder, BAD["errors"])


async def _tail(seed: int, folder: Path, measures: Measures = SimulatedTraffic) -> Measured:
    place = await _released(seed, folder / "tail", Traits(variability_factor=8.0), measures=measures)
    state = place.standing
    aspects = {word for look in state.history if look.action == "rollback" for word in " ".join(look.reasons).split()}
    return Measured(
        checks=(
            Check(name="rolled back", value=float(state.phase == "rolled_back"), bound=1.0),
            Check(name="for its tail or spread", value=float(bool(aspects & {"tail:", "spread:"})), bound=1.0),
        ),
        figures={"minutes": (state.since - state.history[0].at).total_seconds() / 60, "looks": state.looks},
        reference="a mean that is 20 % higher, which such a candidate does not show",
    )


async def _tail_unseen(seed: int, folder: Path) -> Measured:
    return await _tail(seed, folder, Alike)


async def _skewed(seed: int, folder: Path, skew: float = 3.0) -> Measured:
    place = traffic_place(seed, folder / "skewed", Traits())
    place.world.traffic.splits.skew[place.service] = skew
    await place.release(CANARY)
    await place.live(60, until=over)
    await place.live(1)
    state = place.standing
    return Measured(
        checks=(
            Check(name="stopped for its split", value=float("split does not hold" in state.detail), bound=1.0),
            Check(name="former version serves all", value=float(place.world.live.beside == {}), bound=1.0),
        ),
        figures={"looks": state.looks, "observed_share": state.history[-1].share_observed},
        reference="chi-square of the requests served against the share written",
    )


async def _not_skewed(seed: int, folder: Path) -> Measured:
    return await _skewed(seed, folder, skew=1.0)


CASES: tuple[Case, ...] = (
    Case(
        "release-bad", "traffic", "a bad candidate goes within its first step, at a tenth of a big-bang deploy's harm",
        _bad, _bad_unseen, "the plane tells of the candidate what the former version did",
    ),
    Case(
        "release-good", "traffic", "a good candidate is promoted, and one command takes it back at once",
        _good, _good_but_bad, "the candidate fails one request in twenty",
    ),
    Case(
        "release-tail", "traffic", "a candidate that is as fast in the middle and slower in the tail is caught",
        _tail, _tail_unseen, "the plane tells of the candidate what the former version did",
    ),
    Case(
        "release-skew", "traffic", "a split that is not what is written stops the release",
        _skewed, _not_skewed, "the split is what is written, and the release goes through",
    ),
)  # fmt: skip
