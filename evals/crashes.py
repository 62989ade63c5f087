"""Crashes: real processes killed at every named point, then recovery, then a history checker.

`python -P -m evals.crashes [--points P ...] [--kinds K ...] [--database sqlite|URL] [--json]` exits 1 when a promise
is broken: lost, repeated, unexplained or unreleased. A PostgreSQL URL gets fresh databases per case.
"""

import argparse
import json
import multiprocessing as mp
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import cast

from domain.command_kinds import CommandKind
from evals.crash_cases import KINDS, Passage, passages
from evals.crash_host import SABOTAGE, CaseResult, Sabotage, play_case
from runtime.simulator.demo import demo_world
from runtime.simulator.record import launch
from runtime.simulator.world import World

SEED = 5
WARM_UP = timedelta(hours=2, minutes=30)
"""The window that stands for normal, its guard and a little: what verification looks back on."""


def _case_process(
    world: World, passage: Passage, kind: CommandKind, database: str, sabotage: Sabotage,
    pipe: "Connection[object, object]",
) -> None:  # fmt: skip
    pipe.send(play_case(world, passage, kind, database=database, sabotage=sabotage))


def run(
    cases: Sequence[tuple[Passage, CommandKind]],
    *,
    database: str = "sqlite",
    jobs: int = 2,
    sabotage: Sabotage = "none",
    tell: Callable[[CaseResult], None] = lambda _: None,
) -> list[CaseResult]:
    """Play the cases, each in a process forked from a warmed-up world; `tell` hears of each as it ends."""
    world = launch(demo_world(), SEED)
    world.advance(world.now + WARM_UP)
    world.journal.drain(world.elapsed_s)
    waiting = list(enumerate(cases))
    running: dict[int, tuple[int, ForkProcess, Connection[object, object]]] = {}
    results: dict[int, CaseResult] = {}
    context = mp.get_context("fork")
    while waiting or running:
        while waiting and len(running) < jobs:
            number, (passage, kind) = waiting.pop(0)
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_case_process, args=(world, passage, kind, database, sabotage, theirs))
            process.start()
            theirs.close()
            running[process.sentinel] = (number, process, ours)
        for sentinel in cast("list[int]", wait(list(running))):
            number, process, pipe = running.pop(sentinel)
            process.join()
            results[number] = _result(pipe, *cases[number])
            tell(results[number])
    return [results[number] for number in range(len(cases))]


def _result(pipe: "Connection[object, object]", passage: Passage, kind: CommandKind) -> CaseResult:
    try:
        return cast("CaseResult", pipe.recv())
    except EOFError:
        return CaseResult(
            passage=passage.name, kind=kind, ok=False, killed=0, ended="", why=("the case broke down",), seconds=0.0
        )
    finally:
        pipe.close()


def table(results: Sequence[CaseResult]) -> str:
    """Return one row per passage with a column per kind, and below it why something did not hold."""
    kinds = list(dict.fromkeys(result.kind for result in results))
    cells = {(result.passage, result.kind): result for result in results}
    rows = list(dict.fromkeys(result.passage for result in results))
    width = max(len(row) for row in rows)
    lines = [f"{'':{width}}  {'  '.join(kinds)}"]
    for row in rows:
        marks = [
            (("ok" if cells[row, kind].ok else "BROKEN") if (row, kind) in cells else "-").ljust(len(kind))
            for kind in kinds
        ]
        lines.append(f"{row:{width}}  {'  '.join(marks)}")
    for result in results:
        lines += [f"{result.passage} / {result.kind} ({result.ended}): {why}" for why in result.why]
    return "\n".join(lines)


def _tell(result: CaseResult) -> None:
    print(f"{'ok' if result.ok else 'BROKEN':6} {result.passage} / {result.kind} {result.seconds} s", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the matrix and print it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", nargs="*", default=[], help="only cases whose last kill is at one of these points")
    parser.add_argument("--kinds", nargs="*", default=[], choices=KINDS)
    parser.add_argument("--database", default="sqlite", help="sqlite, or a PostgreSQL URL that may create databases")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sabotage", choices=list(SABOTAGE), default="none", help="break the executor on purpose")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    begun = time.perf_counter()
    cases = passages(options.points, options.kinds)
    results = run(cases, database=options.database, jobs=options.jobs, sabotage=options.sabotage, tell=_tell)
    figures = {
        "database": "sqlite" if options.database == "sqlite" else "postgresql", "cases": len(results),
        "held": sum(result.ok for result in results), "killed": sum(result.killed for result in results),
        "seconds": round(time.perf_counter() - begun, 1),
        "endings": dict(Counter(ending for r in results for ending in r.ended.split(", ")).most_common()),
    }  # fmt: skip
    if options.json:
        print(json.dumps({**figures, "results": [result.model_dump(mode="json") for result in results]}))
    else:
        print(table(results))
        print("{held} of {cases} cases held on {database}; {killed} processes killed; {seconds} s".format(**figures))
        print("endings: {endings}".format(**figures))
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
