"""Rows that are shown by one incident that the whole loop lives through."""

from collections.abc import Callable
from pathlib import Path

from evals.service_cases import Case, Check, Measured
from evals.status.life import STAGES, Damage, Life, life

Look = Callable[[Life], float]
LEARNED = ("opsmesh.decision.recorded.v1", "opsmesh.outcome.recorded.v1", "opsmesh.lesson.learned.v1")


def _case(
    name: str, checks: dict[str, tuple[float, Look]], planted: dict[str, Look], damage: Damage, breaks: str
) -> Case:
    def measured(one: Life, instead: dict[str, Look]) -> Measured:
        return Measured(
            checks=tuple(
                Check(name=check, value=instead.get(check, look)(one), bound=bound)
                for check, (bound, look) in checks.items()
            ),
            figures={},
        )

    async def run(_seed: int, home: Path) -> Measured:
        return measured(await life("none", home), {})

    async def damaged(_seed: int, home: Path) -> Measured:
        return measured(await life(damage, home), planted)

    return Case(name, "status", next(iter(checks)), run, damaged, breaks)


AUTONOMY = _case(
    "autonomy",
    {"recoveries": (1, lambda one: one.succeeded), "people asked": (0, lambda one: one.by_people)},
    {}, "execution off", "nothing may be carried out",
)  # fmt: skip
TRACED = _case(
    "traced", {"stages found by one trace id": (len(STAGES), lambda one: one.stages)},
    {"stages found by one trace id": lambda one: one.stages_unlinked}, "none", "the command lost its trace id",
)  # fmt: skip
DIAGNOSED = _case(
    "diagnosed", {"recoveries by acting on the cause": (1, lambda one: one.on_the_cause)}, {}, "another target",
    "what is proposed is sent to another service",
)  # fmt: skip
FED_BACK = _case(
    "fed-back",
    {
        "decisions, outcomes and lessons at the Knowledge Platform": (
            len(LEARNED), lambda one: sum(kind in one.at_knowledge for kind in LEARNED)
        ),
        "decisions, outcomes and lessons at Observability & Feedback": (
            len(LEARNED), lambda one: sum(kind in one.at_observability for kind in LEARNED)
        ),
        "effects without a decision": (0, lambda one: one.undecided),
    },
    {}, "execution off", "nothing may be carried out, so nothing is learned",
)  # fmt: skip
