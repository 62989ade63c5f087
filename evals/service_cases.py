"""Cases of the runtime's services and workers: each measures one behaviour, checks it, and proves that it can say no.

A case has a planted break: the same run with one thing damaged, in which at least one check must turn red. A case
whose break stays green is worth nothing and fails. Their table is `evals.services.CASES`.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Literal

from domain.base import Frozen


class Check(Frozen):
    """One thing that must hold."""

    name: str
    value: float
    bound: float
    at: Literal["least", "most", "exactly"] = "exactly"

    @property
    def ok(self) -> bool:
        """Tell whether it holds."""
        match self.at:
            case "least":
                return self.value >= self.bound
            case "most":
                return self.value <= self.bound
            case "exactly":
                return self.value == self.bound


class Measured(Frozen):
    """What one run of a case gave."""

    checks: tuple[Check, ...]
    figures: dict[str, float]
    """Further figures to print, with their units in the names."""
    reference: str = ""
    """What the figures are held against: a standard, a trivial baseline, a published record."""

    @property
    def ok(self) -> bool:
        """Tell whether every check holds; a case without checks never does."""
        return bool(self.checks) and all(check.ok for check in self.checks)


Run = Callable[[int, Path], Awaitable[Measured]]
"""Takes a seed and an empty folder."""


@dataclass(frozen=True, slots=True)
class Case:
    """One behaviour of one service or worker."""

    name: str
    covers: str
    """The service or worker."""
    summary: str
    run: Run
    planted: Run
    """The same with one thing damaged."""
    breaks: str
    """What the planted run damages."""


class CaseResult(Frozen):
    """One case on one seed, honest and damaged."""

    case: str
    covers: str
    seed: int
    measured: Measured
    planted: Measured
    cpu_s: float

    @property
    def ok(self) -> bool:
        """Tell whether it holds, and would notice if it did not."""
        return self.measured.ok and not self.planted.ok


def _nobody(_done: int, _total: int, _case: str) -> None:
    """Nobody is told of progress."""


def run_cases(
    cases: Sequence[Case], seeds: Sequence[int], told: Callable[[int, int, str], None] = _nobody
) -> tuple[CaseResult, ...]:
    """Run every case on every seed, each run in an empty folder of its own."""
    found: list[CaseResult] = []
    jobs = [(case, seed) for case in cases for seed in seeds]
    for number, (case, seed) in enumerate(jobs):
        told(number, len(jobs), case.name)
        began = process_time()
        honest, damaged = in_folder(case.run, seed), in_folder(case.planted, seed)
        found.append(
            CaseResult(
                case=case.name, covers=case.covers, seed=seed, measured=honest, planted=damaged,
                cpu_s=round(process_time() - began, 2),
            )
        )  # fmt: skip
    told(len(jobs), len(jobs), "done")
    return tuple(found)


def in_folder(run: Run, seed: int) -> Measured:
    """Run once in an empty folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
        return asyncio.run(_awaited(run(seed, Path(folder))))


async def _awaited(run: Awaitable[Measured]) -> Measured:
    return await run
