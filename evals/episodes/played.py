"""One episode of the product: the mesh over the director's world, from opening to the end of judging."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from domain.base import TimeRange
from domain.commands import CommandRecord, Proposal, State
from domain.decisions import Freeze
from domain.errors import OpsmeshError
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.policies import ScalingPolicy
from domain.principals import ANY, Principal, RoleGrant
from domain.topology import EntityRef
from evals.episodes.director import Director
from evals.episodes.measures import Measures, measure
from evals.scenarios.drawing import Moment
from evals.scenarios.model import BlindAt, FreezeAt, RivalAt
from grounding.vectors import MemoryVectors
from mesh.internal import MESH
from mesh.journal import Run
from mesh.on_call import Approver
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from runtime.simulator.outages import Outage
from runtime.simulator.streams import stream
from runtime.simulator.twin import Twin

SETTLED = timedelta(minutes=20)
"""A recovery must hold longer than its own verification window; then the loop may rest and only the world goes on."""
ROUND = timedelta(seconds=30)
RIVAL = Principal(
    id=PrincipalId("person:rival"), kind="person", name="Somebody else",
    grants=tuple(RoleGrant(role=role, tenant=TenantId(ANY)) for role in ("viewer", "proposer")),
)  # fmt: skip

Tamper = Callable[[SimulatedMesh, Director], SimulatedMesh]
"""Evals only: a sabotage that must make the figures fall."""


def untouched(simulated: SimulatedMesh, _director: Director) -> SimulatedMesh:
    """Change nothing: what every honest run does."""
    return simulated


@dataclass(slots=True)
class Played:
    """What graders look at: the stores, the world and the director, after the last minute."""

    director: Director
    simulated: SimulatedMesh
    baselines: dict[str, Measures]
    standing: float = 0.0
    """Minutes in which a cause stood."""
    broke: str = ""

    def measures(self) -> Measures:
        """Return what the world went through while the product was in charge."""
        return measure(self.director.world, self.director.since_s, self.standing)

    @property
    def tenants(self) -> tuple[TenantId, ...]:
        """All tenants of the world."""
        return tuple(binding.tenant for binding in self.simulated.world.spec.tenants)

    def commands(self) -> tuple[CommandRecord, ...]:
        """Every command of the episode, undos and rivals among them, oldest first."""
        records = self.simulated.mesh.governed.commands.list("*")
        return tuple(sorted(records, key=lambda r: (r.command.proposed_at, r.command.id)))

    def ours(self) -> tuple[CommandRecord, ...]:
        """Forward commands that agents proposed."""
        return tuple(r for r in self.commands() if r.command.role == "forward" and r.command.proposer != RIVAL.id)

    def runs(self) -> tuple[tuple[TenantId, Run], ...]:
        """Every agent run that ended, oldest first."""
        mesh = self.simulated.mesh
        found = [
            (tenant, run)
            for tenant in self.tenants
            for incident in mesh.cases.all(tenant)
            for run in mesh.journal.runs(tenant, incident.id)
            if run.diagnosis is not None
        ]
        return tuple(sorted(found, key=lambda pair: (pair[1].started_at, pair[1].id)))

    def minute(self, at: datetime) -> float:
        """Return an instant as minutes since opening."""
        return round((at - self.director.opened).total_seconds() / 60.0, 2)


async def play(director: Director, baselines: dict[str, Measures], *, home: Path, tamper: Tamper = untouched) -> Played:
    """Live through the director's timeline with the product in charge. The caller closes the mesh after grading."""
    choices = Choices(
        autonomy="act",
        rehearsal=Twin(),
        vectors=MemoryVectors(),
        approver=Approver(),
        world=director.world,
        loops=(),
    )
    drawn = director.setting
    simulated = tamper(await open_simulated(home, drawn.spec, drawn.world_seed, choices), director)
    if any(isinstance(m.what, RivalAt) for m in director.moments):
        simulated.mesh.principals.add(RIVAL, by=MESH.id)
    played = Played(director, simulated, baselines)
    while director.world.now < director.ends:
        for moment in director.act():
            await _stage(simulated, director, moment)
        before = director.world.now
        until = min(before + ROUND, max(director.next_at, before + ROUND / 3), director.ends)
        resting = _settled(played)
        try:
            await simulated.simulation.run(until, loop=not resting)
        except OpsmeshError as error:
            played.broke = f"{type(error).__name__}: {error}"
            break
        played.standing += (director.world.now - before).total_seconds() / 60.0 if director.present() else 0.0
    director.world.advance(director.ends)
    return played


def _settled(played: Played) -> bool:
    """Tell whether a recovery was verified long enough ago and nothing is open: the rest is the world's own."""
    director = played.director
    if director.setting.scenario.good != "recover" or director.next_at < director.ends:
        return False
    now, ours = director.world.now, played.ours()
    if played.simulated.mesh.cases.live(EnvironmentId(director.world.spec.environment)):
        return False
    done = [r for r in ours if r.state is State.SUCCEEDED and r.command.kind != "ticket.open"]
    if len(done) < len(director.causes()) or not director.causes():
        return False
    return all(now - r.updated_at > SETTLED for r in ours)


async def _stage(simulated: SimulatedMesh, director: Director, moment: Moment) -> None:
    match moment.what:
        case FreezeAt():
            _freeze(simulated, director, moment)
        case BlindAt():
            _blind(director, moment, moment.what)
        case RivalAt():
            await _rival(simulated, director, moment, moment.what)
        case _:
            return


def _freeze(simulated: SimulatedMesh, director: Director, moment: Moment) -> None:
    now = director.world.now
    for binding in simulated.world.spec.tenants:
        window = Freeze(
            tenant=binding.tenant, start=now, end=now + timedelta(minutes=moment.lasts_minutes or 0.0),
            reason="change freeze", by=MESH.id,
        )  # fmt: skip
        simulated.mesh.governed.switches.freeze(window)


def _blind(director: Director, moment: Moment, what: BlindAt) -> None:
    lasts = timedelta(minutes=moment.lasts_minutes or director.setting.minutes)
    struck = next((m.draw.entity for m in director.moments if m.draw is not None), "")
    director.world.outages.append(
        Outage(
            signal=what.blind, during=TimeRange(start=director.world.now, end=director.world.now + lasts),
            addresses=(struck,) if what.where == "same" and struck else (),
        )
    )  # fmt: skip


async def _rival(simulated: SimulatedMesh, director: Director, moment: Moment, what: RivalAt) -> None:
    """Let somebody else propose a little more room for a service; a person approves it in the usual way."""
    world = director.world
    service = director.service(what.where, stream(moment.rng_seed, "rival"))
    state = world.live.services[service]
    policy = state.scaling or ScalingPolicy(min_replicas=1, max_replicas=2, target_cpu_utilisation=0.6)
    wider = policy.model_copy(update={"max_replicas": policy.max_replicas + 1})
    kind = what.rival if state.scaling is not None else "service.scale"
    arguments = (
        {"service": service, "policy": wider.model_dump(mode="json")}
        if kind == "scaling_policy.update"
        else {"service": service, "replicas": state.replicas + 1}
    )
    owner = world.layout.services[world.layout.service_index[service]].tenant
    await simulated.mesh.submission.submit(
        Proposal.model_validate({
            "kind": kind, "arguments": arguments, "target": EntityRef(kind="service", id=service),
            "tenant": TenantId(owner), "environment": EnvironmentId(world.spec.environment),
            "proposer": RIVAL.id, "rationale": "more room before the campaign",
        })
    )  # fmt: skip
