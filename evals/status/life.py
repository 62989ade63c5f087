"""One incident lived through by the whole loop, read out once: what several rows of the roadmap are shown by."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
from sqlalchemy import update

from domain.base import Frozen
from domain.commands import State
from domain.decisions import KillSwitch
from domain.errors import NotFound
from domain.ids import PrincipalId, TenantId
from domain.ports import FeedbackSink
from domain.principals import ANY, READING_ROLES, Principal, RoleGrant
from domain.subscriptions import Subscriber, SubscriptionForm
from evals.misdirection import Misdirection
from grounding.vectors import MemoryVectors
from mesh.feedback_sinks import OtlpSink, WebhookSink
from mesh.investigation import as_proposed
from mesh.platform_fakes import Received, knowledge_platform, observability_backend
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from mesh.subscriptions import Subscriptions
from mesh.telemetry import trace_id_of
from mesh.tracing import TracesBehind
from runtime.simulator import faults
from runtime.simulator.demo import demo_world
from runtime.simulator.twin import Twin
from storage.tables.governance import commands

Damage = Literal["none", "execution off", "another target"]
FAULT = "config_regression"
SEED = 7
STAGES = ("event", "run", "proposal", "decision", "tool", "verification", "outcome")


class Life(Frozen):
    """What was there in the end."""

    succeeded: int
    """Commands that were verified as a recovery."""
    on_the_cause: int
    """Those of them that acted on what was really broken."""
    by_people: int
    """Commands that a person had to answer."""
    undecided: int
    """Commands that had an effect without a recorded decision."""
    stages: int
    """Stages of the story that one trace id finds."""
    stages_unlinked: int
    """The same, after the command lost its trace."""
    at_knowledge: tuple[str, ...]
    """Types of events that the Knowledge Platform has in the end, of those in the trace of a command."""
    at_observability: tuple[str, ...]
    """The same, of Observability & Feedback."""


READER = RoleGrant(role="viewer", tenant=TenantId(ANY))
_LIVED: dict[Damage, Life] = {}


async def life(damage: Damage, home: Path) -> Life:
    """Return the life under that damage, lived once per process."""
    if damage not in _LIVED:
        misdirection = Misdirection() if damage == "another target" else None
        choices = Choices(
            autonomy="act", rehearsal=Twin(), vectors=MemoryVectors(), loops=(), redirect=misdirection or as_proposed
        )
        simulated = await open_simulated(home, demo_world(), SEED, choices)
        if misdirection is not None:
            misdirection.mesh = simulated.mesh
        platforms = Platforms.opened(simulated)
        try:
            _LIVED[damage] = await _lived(simulated, damage, platforms)
        finally:
            await simulated.mesh.close()
    return _LIVED[damage]


async def _lived(simulated: SimulatedMesh, damage: Damage, platforms: "Platforms") -> Life:
    world, store = simulated.world, simulated.mesh.governed.commands
    if damage == "execution off":
        stop = KillSwitch(scope="global", engaged_by=PrincipalId("evals"), at=world.now, reason="planted")
        simulated.mesh.governed.switches.engage(stop)
    await simulated.simulation.run(world.now + timedelta(minutes=5))
    truth = faults.inject(world, faults.draw(world, FAULT, SEED))
    await simulated.simulation.run(
        world.now + timedelta(minutes=45), stop=lambda: any(r.state is State.SUCCEEDED for r in store.list("*"))
    )
    await simulated.simulation.run(world.now + timedelta(minutes=1))
    await platforms.forward()
    return _read(simulated, (truth.entity, *truth.also), platforms)


@dataclass(frozen=True, slots=True)
class Platforms:
    """The two platforms that feedback goes to, and what brings it there."""

    knowledge: Received
    observability: Received
    subscriptions: Subscriptions

    @staticmethod
    def opened(simulated: SimulatedMesh) -> "Platforms":
        """Subscribe both to the feedback of every tenant."""
        mesh, knowledge, observability = simulated.mesh, Received(), Received()
        signer = mesh.governed.webhooks
        takes = knowledge_platform(knowledge, lambda: signer.public_key, simulated.clock)
        keeps = observability_backend(observability)
        sinks: dict[SubscriptionForm, FeedbackSink] = {
            "cloudevents": WebhookSink(
                signer, simulated.clock, lambda: httpx.AsyncClient(transport=httpx.ASGITransport(app=takes))
            ),
            "otlp": OtlpSink(lambda: httpx.AsyncClient(transport=httpx.ASGITransport(app=keeps))),
        }
        subscriptions = replace(mesh.subscriptions, sinks=sinks)
        for bound in simulated.world.spec.tenants:
            for form, url in _PLACES:
                subscriptions.add(Subscriber(tenant=bound.tenant, form=form, url=url), by=PrincipalId("person:evals"))
        return Platforms(knowledge, observability, subscriptions)

    async def forward(self) -> None:
        """Deliver until nothing is left."""
        while await self.subscriptions.step():
            pass


_PLACES: tuple[tuple[SubscriptionForm, str], ...] = (
    ("cloudevents", "http://127.0.0.1:9/"), ("otlp", "http://127.0.0.1:9/v1/logs"),
)  # fmt: skip
"""Answered in this process."""


def _types(received: Received, traces: set[str]) -> tuple[str, ...]:
    """Return the types of what arrived in those traces."""
    arrived = [e for e in received.events.values() if _trace(e.dimensions.traceparent) in traces]
    return tuple(sorted({event.type for event in arrived}))


def _trace(traceparent: str | None) -> str:
    return "untraced" if traceparent is None else trace_id_of(traceparent)


def _read(simulated: SimulatedMesh, causes: tuple[str, ...], platforms: Platforms) -> Life:
    mesh = simulated.mesh
    records = [r for r in mesh.governed.commands.list("*") if r.command.role == "forward"]
    done = [r for r in records if r.state is State.SUCCEEDED]
    traces = {_trace(record.command.trace) for record in records} - {"untraced"}
    linked = _stages(simulated, records[0].command.id) if records else 0
    with mesh.parts.database.begin() as connection:
        for record in records:
            loose = _loose(record.command.model_dump(mode="json"))
            connection.execute(update(commands).where(commands.c.id == record.command.id).values(body=loose))
    return Life(
        succeeded=len(done), on_the_cause=sum(f"{r.command.target.kind}/{r.command.target.id}" in causes for r in done),
        by_people=sum(r.state is State.AWAITING_APPROVAL for r in records),
        undecided=sum(r.policy_digest is None for r in done), stages=linked,
        stages_unlinked=_stages(simulated, records[0].command.id) if records else 0,
        at_knowledge=_types(platforms.knowledge, traces), at_observability=_types(platforms.observability, traces),
    )  # fmt: skip


def _loose(body: dict[str, object]) -> dict[str, object]:
    """Return a command's body under a trace of its own."""
    return body | {"trace": f"00-{'1' * 32}-{'1' * 16}-01"}


def _stages(simulated: SimulatedMesh, subject: str) -> int:
    everything = Principal(
        id=PrincipalId("person:evals"),
        kind="person",
        name="E",
        grants=(READER,),
    )
    try:
        view = TracesBehind(simulated.mesh).find(everything.reach(READING_ROLES), subject)
    except NotFound:
        return 0
    return len({line.kind for line in view.lines} & set(STAGES))
