"""The closed loop judged by the world's own truth: one fault, one seed, and what the loop made of it.

Each episode has two controls with the same seed: with execution off the world must not recover (or the fault heals by
itself and proves nothing), and with proposals sent to a wrong target the command must end UNDONE.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from domain.base import Frozen
from domain.commands import CommandRecord, State
from domain.decisions import KillSwitch
from domain.ids import PrincipalId
from evals.misdirection import Misdirection
from grounding.vectors import MemoryVectors
from mesh.investigation import as_proposed
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from mesh.stages import Watcher, nobody
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Truth
from runtime.simulator.twin import Twin
from runtime.simulator.verdict import hurting, slo_minutes_lost

Control = Literal["normal", "execution_off", "wrong_target"]
CONTROLS: tuple[Control, ...] = ("normal", "execution_off", "wrong_target")
CALM = timedelta(minutes=10)
"""Watched before the fault: nothing may be proposed."""
HORIZON = timedelta(minutes=75)
"""Three attempts with their hold windows, and the slowest right ending."""
AFTERWARDS = timedelta(minutes=15)
"""A recovery must hold longer than its own verification window."""


def fault_endings() -> dict[str, str]:
    """Return every fault with its right ending, in the order of the table. An unknown name is nobody's: see `play`."""
    return {fault.name: fault.ending for fault in faults.FAULTS}


class Act(Frozen):
    """One command of an episode."""

    kind: str
    target: str
    state: str
    reason: str
    attempt: int


class Episode(Frozen):
    """What happened in one episode, and whether it was what should have happened."""

    fault: str
    seed: int
    control: Control
    ending: str
    """recover, wait, escalate, undone or none: what the loop did."""
    expected: str
    as_expected: bool
    why: str
    entity_right: bool | None
    class_right: bool | None
    blamed: str
    diagnosed: str
    world_well: bool
    slo_minutes_lost: float
    minutes_to_proposal: float | None
    acts: tuple[Act, ...]


@dataclass(slots=True)
class _Story:
    """Collects what is needed to judge an episode."""

    simulated: SimulatedMesh
    truth: Truth
    since_s: float
    stages: list[str] = field(default_factory=list[str])

    def commands(self) -> tuple[CommandRecord, ...]:
        """Forward commands, oldest first."""
        return tuple(r for r in self.simulated.mesh.governed.commands.list("*") if r.command.role == "forward")


async def play(fault: str, seed: int, control: Control, *, home: Path, watcher: Watcher = nobody) -> Episode:
    """Play one episode in a folder of its own."""
    misdirection = Misdirection() if control == "wrong_target" else None
    choices = Choices(
        autonomy="act",
        watcher=watcher,
        rehearsal=Twin(),
        redirect=misdirection or as_proposed,
        vectors=MemoryVectors(),
        loops=(),
    )
    simulated = await open_simulated(home, demo_world(), seed, choices)
    try:
        if misdirection is not None:
            misdirection.mesh = simulated.mesh
        return await _live_through(simulated, fault, seed, control)
    finally:
        await simulated.mesh.close()


async def _live_through(simulated: SimulatedMesh, fault: str, seed: int, control: Control) -> Episode:
    world, simulation = simulated.world, simulated.simulation
    if control == "execution_off":
        stop = KillSwitch(
            scope="global", engaged_by=PrincipalId("evals"), at=world.now, reason="control: execution off"
        )
        simulated.mesh.governed.switches.engage(stop)
    await simulation.run(world.now + CALM)
    drawn = faults.draw(world, fault, seed)
    truth = faults.inject(world, drawn)
    story = _Story(simulated, truth, world.elapsed_s)
    settled = _settled(story, control)
    await simulation.run(world.now + HORIZON, stop=settled)
    await simulation.run(world.now + AFTERWARDS, stop=lambda: control == "wrong_target")
    return _judge(story, fault, seed, control)


def _settled(story: _Story, control: Control) -> Callable[[], bool]:
    """Tell when nothing more is to be waited for."""

    def over() -> bool:
        if control == "execution_off" or story.truth.ending == "wait":
            return False
        states = {r.state for r in story.commands()}
        return State.SUCCEEDED in states or (
            control == "wrong_target" and bool(states & {State.UNDONE, State.UNDO_FAILED})
        )

    return over


def _judge(story: _Story, fault: str, seed: int, control: Control) -> Episode:
    world, truth, commands = story.simulated.world, story.truth, story.commands()
    well = not hurting(world)
    ending = _ending(commands)
    expected, good, why = _expectation(truth, control, ending, commands, well=well)
    entity, diagnosed = _blamed(story)
    proposed = [r.command.proposed_at for r in commands]
    minutes = (min(proposed) - truth.since).total_seconds() / 60 if proposed else None
    return Episode(
        fault=fault, seed=seed, control=control, ending=ending, expected=expected, as_expected=good, why=why,
        entity_right=None if not entity else entity in {truth.entity, *truth.also},
        class_right=None if not diagnosed else diagnosed == truth.fault_class,
        blamed=entity, diagnosed=diagnosed, world_well=well,
        slo_minutes_lost=slo_minutes_lost(world, story.since_s), minutes_to_proposal=minutes,
        acts=tuple(
            Act(
                kind=r.command.kind, target=r.command.target.address, state=r.state, reason=r.reason,
                attempt=r.command.attempt,
            )
            for r in commands
        ),
    )  # fmt: skip


def _ending(commands: tuple[CommandRecord, ...]) -> str:
    done = [r for r in commands if r.state is State.SUCCEEDED]
    if any(r.command.kind != "ticket.open" for r in done):
        return "recover"
    if done:
        return "escalate"
    if any(r.state is State.UNDONE for r in commands):
        return "undone"
    return "wait" if not commands else "none"


def _expectation(
    truth: Truth, control: Control, ending: str, commands: tuple[CommandRecord, ...], *, well: bool
) -> tuple[str, bool, str]:
    """Return what should have happened, whether it did, and one sentence why."""
    if control == "execution_off":
        effects = [r for r in commands if r.fencing is not None]
        heals = truth.self_heals
        good = not effects and well == heals
        return (
            ("heals by itself" if heals else "must not recover"),
            good,
            f"world {'well' if well else 'hurting'}, {len(effects)} effects",
        )
    if control == "wrong_target":
        acted = [r for r in commands if r.command.kind != "ticket.open"]
        if not acted:
            return "no command to misdirect", truth.ending != "recover", "nothing that acts was proposed"
        good = any(r.state is State.UNDONE for r in acted) and not any(r.state is State.SUCCEEDED for r in acted)
        return "undone", good, ", ".join(f"{r.command.kind} {r.state}" for r in acted)
    if truth.ending == "recover":
        right = {(a.kind, a.target) for a in truth.answers}
        done = [
            r for r in commands if r.state is State.SUCCEEDED and (r.command.kind, r.command.target.address) in right
        ]
        return "recover", ending == "recover" and bool(done) and well, f"world {'well' if well else 'hurting'}"
    return truth.ending, ending == truth.ending and (well or truth.ending != "wait"), f"the loop chose {ending}"


def _blamed(story: _Story) -> tuple[str, str]:
    """Entity and class of the last diagnosis that led to a command, else of the last one with a cause."""
    mesh = story.simulated.mesh
    found = ("", "")
    for tenant in [binding.tenant for binding in story.simulated.world.spec.tenants]:
        for incident in mesh.cases.all(tenant):
            for run in mesh.journal.runs(tenant, incident.id):
                if run.diagnosis is not None and run.diagnosis.hypotheses:
                    first = run.diagnosis.hypotheses[0]
                    if not found[0] or run.proposals:
                        found = (first.entity, first.fault_class)
    return found
