"""The form of a fault: how it enters a world, how it leaves, and what the right ending is.

Truth about a fault stays with whoever injected it: nothing of it is written where readers look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, JsonValue

from domain.base import Frozen, UtcDatetime
from domain.command_kinds import CommandKind
from runtime.simulator.world import World

Ending = Literal["recover", "wait", "escalate"]
"""recover: a legal command fixes it; wait: it heals by itself; escalate: a ticket with cause and missing action."""
Domain = Literal["sre", "capacity", "cost", "resilience", "drift"]
"""Whose work it is: the name of the agent that ought to find it."""


class Answer(Frozen):
    """A command that is right: kind and target address; `arguments` lists those that matter."""

    kind: CommandKind
    target: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class Truth(Frozen):
    """What is really wrong, for graders only."""

    fault: str
    fault_class: str
    domain: Domain = "sre"
    entity: str
    ending: Ending
    self_heals: bool
    since: UtcDatetime
    answers: tuple[Answer, ...]
    also: tuple[str, ...] = ()
    """Other addresses that name the same thing rightly."""


class Harm(Frozen):
    """What a fault does that no objective shows: a risk somebody is exposed to now, and money that buys nothing."""

    exposed: bool = False
    wasted_usd_per_hour: float = 0.0


class Draw(Frozen):
    """A fault with its target and size, drawn by seed: enough to inject it again."""

    fault: str
    entity: str
    numbers: dict[str, float] = Field(default_factory=dict[str, float])
    names: dict[str, str] = Field(default_factory=dict[str, str])
    also: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Fault:
    """One row of the table."""

    name: str
    fault_class: str
    ending: Ending
    self_heals: bool
    draw: Callable[[World, np.random.Generator], Draw]
    inject: Callable[[World, Draw], None]
    undo: Callable[[World, Draw], None]
    present: Callable[[World, Draw], bool]
    """Is the cause still there? A remedy that copes with it (more replicas for more load) leaves it True."""
    answers: Callable[[World, Draw], tuple[Answer, ...]]
    domain: Domain = "sre"
    exposed: Callable[[World, Draw], bool] | None = None
    """Whether what could happen now would do damage; None where the fault is no risk but a hurt or a waste."""
    wasted_usd_per_hour: Callable[[World, Draw], float] | None = None
    """Spent now and not needed; None where it costs nothing."""
