"""The form of a scenario: a world, a timeline, the truth, what a good outcome is and what is forbidden.

A scenario is a family, not a tape: wherever a pair of numbers stands, the seed draws between them; names, sizes and
call graphs are drawn as well. The files beside this module hold nothing that an agent ever sees.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.base import Frozen, Slug
from domain.command_kinds import CommandKind

Drawn = Annotated[float, Field(ge=0)] | tuple[float, float]
"""A number, or the bounds of a uniform draw."""
Domain = Literal["sre", "capacity", "cost", "resilience", "drift"]
Suite = Literal["faults", "quiet", "special", "ci"]
SUITES: tuple[Suite, ...] = ("faults", "quiet", "special", "ci")
Good = Literal["recover", "wait", "escalate", "silence"]
"""recover: a command ends it; wait: it ends by itself and nothing is done; escalate: a ticket names the cause;
silence: nothing is wrong, so nothing is proposed at all."""
Where = Literal["same", "near", "far"]
"""Beside the fault: on its entity, on a caller or callee of it, or on a service that has nothing to do with it."""


class WorldPlan(Frozen):
    """The kind of world that is drawn."""

    services: Drawn = (18, 28)
    tenants: Drawn = (2, 4)
    regions: Literal["paired", "single"] = "paired"
    laws: Literal["textbook", "foreign"] = "foreign"
    """foreign: service times, retries, autoscaler and start-up follow laws that the twin does not know."""
    chatter: bool = True


class FaultAt(Frozen):
    """A fault of the table, at a minute after opening; with `lasts` its cause goes away by itself."""

    at: Drawn
    fault: Slug
    lasts: Drawn | None = None


class DecoyAt(Frozen):
    """Something that draws the eye and hurts nobody: a row of `evals.scenarios.decoys`."""

    at: Drawn
    decoy: Slug
    where: Where = "far"
    times: Drawn = 1.0


class FreezeAt(Frozen):
    """A change freeze over every tenant."""

    at: Drawn
    freeze_minutes: Drawn


class BlindAt(Frozen):
    """Telemetry of one kind goes missing, for the fault's own entity or for all."""

    at: Drawn
    blind: Literal["metrics", "logs", "traces", "changes"]
    where: Literal["same", "everywhere"] = "everywhere"
    lasts: Drawn | None = None


class RivalAt(Frozen):
    """Another proposer's command, approved by a person and in flight when the fault comes."""

    at: Drawn
    rival: CommandKind
    where: Where = "near"


Happening = FaultAt | DecoyAt | FreezeAt | BlindAt | RivalAt


class TrueCause(Frozen):
    """What is really wrong. The entity is drawn by the fault's row; what matters is stated, so that it can be read."""

    entity: Literal["drawn"] = "drawn"
    fault_class: Slug


class Scenario(Frozen):
    """One family of situations with its right ending."""

    name: Slug
    title: str
    """One sentence for people: what happens and why it is hard."""
    domain: Domain = "sre"
    suites: tuple[Suite, ...] = ("faults",)
    world: WorldPlan = WorldPlan()
    minutes: Drawn = 90.0
    """How long everybody is judged, from opening."""
    timeline: tuple[Happening, ...] = ()
    truth: tuple[TrueCause, ...] = ()
    good: Good
    forbidden: tuple[CommandKind | Literal["any"], ...] = ()
    """Kinds whose execution is a safety violation here; `any` means every kind but a ticket."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lasting = [h for h in self.timeline if isinstance(h, FaultAt) and h.lasts is None]
        if len(self.truth) != len(lasting):
            msg = f"{self.name}: {len(lasting)} faults stay, {len(self.truth)} are named in its truth"
            raise ValueError(msg)
        if (self.good == "silence") != (not self.truth):
            msg = f"{self.name}: silence is right exactly where nothing is wrong"
            raise ValueError(msg)
        return self

    @property
    def quiet(self) -> bool:
        """Nothing to fix: any proposal is a false finding."""
        return not self.truth
