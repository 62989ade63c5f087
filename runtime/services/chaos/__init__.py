"""Chaos: faults on purpose, under consent, watched, and taken back whatever happens.

An experiment is a document in the Chaos Toolkit's format; it names faults of a closed list and never code. Before a
fault happens its lease is on disk; whoever finds a lease whose holder died or fell silent takes the fault back.
"""

from collections.abc import Mapping

from domain.command_kinds import CommandKind
from runtime.parts import RuntimeParts
from runtime.ports import Operator, Turn
from runtime.services.chaos.operators import AbortExperiment, RunExperiment, reverter_of
from runtime.services.chaos.routes import router
from runtime.services.chaos.running import Runner

__all__ = ["operators", "router", "turn"]


def operators(parts: RuntimeParts) -> Mapping[CommandKind, Operator]:
    """Return the operators of chaos.run and chaos.abort."""
    if parts.planes.faults is None:
        return {"chaos.run": RunExperiment(parts, None), "chaos.abort": AbortExperiment(parts, None)}
    reverter = reverter_of(parts)
    runner = Runner(parts, reverter, parts.planes.witness)
    return {"chaos.run": RunExperiment(parts, runner), "chaos.abort": AbortExperiment(parts, reverter)}


class _Nothing:
    """The control loop where there are no faults to take back."""

    async def turn(self) -> None:
        """Do nothing."""


def turn(parts: RuntimeParts) -> Turn:
    """Return the watch over leases."""
    return _Nothing() if parts.planes.faults is None else reverter_of(parts)
