"""Runs episodes over processes, writes each as it ends, and goes on where an earlier run was cut off."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from domain.errors import NotFound
from evals.episodes.record import EpisodeRecord
from evals.episodes.running import run_episode
from evals.scenarios import SUITES, Scenario, load
from evals.suite.results import Results, header_of, line_of, open_results, write_results
from evals.suite.sabotage import tamper

Told = Callable[[int, int, str], None]
"""Done, total, what was last."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and where its results go."""

    suite: str
    seeds: tuple[int, ...]
    out: Path
    sabotage: str = ""
    fresh: bool = False
    workers: int = 2
    only: tuple[str, ...] = ()
    """Names of scenarios; empty means the whole suite."""


def chosen(order: Order) -> tuple[Scenario, ...]:
    """Return the scenarios of an order: a suite of the files, or `all`. Raises NotFound for an unknown name."""
    if order.suite != "all" and order.suite not in SUITES:
        raise NotFound(f"no suite {order.suite!r}; there are all, {', '.join(SUITES)}", reason="no_such_suite")
    found = [s for s in load() if order.suite == "all" or order.suite in s.suites]
    if unknown := set(order.only) - {s.name for s in found}:
        raise NotFound(f"no scenario {', '.join(sorted(unknown))} in suite {order.suite}", reason="no_such_scenario")
    return tuple(s for s in found if not order.only or s.name in order.only)


def run_suite(order: Order, told: Told = lambda _done, _total, _what: None) -> Results:
    """Run every episode that the results file does not hold yet; returns all of them in the suite's order."""
    scenarios = chosen(order)
    header = header_of(order.suite, scenarios, order.seeds, order.sabotage)
    done = {(e.scenario, e.seed): e for e in open_results(order.out, header, fresh=order.fresh)}
    jobs = [(s, seed, order.sabotage) for seed in order.seeds for s in scenarios]
    waiting = [job for job in jobs if (job[0].name, job[1]) not in done]
    told(len(done), len(jobs), "")
    with (
        order.out.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(order.workers, mp_context=get_context("spawn")) as pool,
    ):
        for future in as_completed([pool.submit(_job, *job) for job in waiting]):
            episode = future.result()
            done[episode.scenario, episode.seed] = episode
            file.write(line_of(episode) + "\n")
            file.flush()
            told(len(done), len(jobs), f"{episode.scenario} {episode.seed}")
    results = Results(header=header, episodes=tuple(done[s.name, seed] for s, seed, _ in jobs))
    write_results(order.out, results)
    return results


def _job(scenario: Scenario, seed: int, sabotage: str) -> EpisodeRecord:
    """Run one episode; one that breaks counts as broken instead of ending the others."""
    try:
        return run_episode(scenario, seed, tamper=tamper(sabotage))
    except Exception as error:  # noqa: BLE001  # a process boundary: whatever broke is on record and fails the suite
        return EpisodeRecord(
            scenario=scenario.name, seed=seed, domain=scenario.domain, good=scenario.good, played=True, causes=(),
            minutes=0.0, since_minute=0.0, broke=f"{type(error).__name__}: {error}",
        )  # fmt: skip
