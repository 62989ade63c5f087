"""What the loop tells whoever watches it: one stage per step of an incident, as plain values.

Watchers (the demo's live view, evals, tests) never steer the loop; a watcher that fails is the watcher's problem.
"""

from collections.abc import Callable
from typing import Literal

from domain.base import Frozen, UtcDatetime
from domain.cards import Card
from domain.ids import TenantId

StageName = Literal[
    "symptom", "incident", "evidence", "diagnosis", "held", "proposal", "decision", "execution", "verification",
    "outcome", "undo", "lesson", "page", "recovery",
]  # fmt: skip


class Curve(Frozen):
    """A reading over time, for surfaces that can draw: minutes relative to the effect, and the bound it must keep."""

    label: str
    unit: str
    minutes: tuple[float, ...]
    values: tuple[float | None, ...]
    bound: float | None = None


class Stage(Frozen):
    """One step of the loop."""

    name: StageName
    at: UtcDatetime
    tenant: TenantId
    incident: str | None = None
    command: str | None = None
    title: str
    lines: tuple[str, ...] = ()
    card: Card | None = None
    curve: Curve | None = None


Watcher = Callable[[Stage], None]


def nobody(stage: Stage) -> None:
    """Watch nothing: the default."""
    del stage
