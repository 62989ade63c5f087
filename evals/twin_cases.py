"""Situations to predict: a fault has struck a random world under foreign laws, a command is at hand, and both futures
are lived through. The twin sees what the tenant's own agent would, and nothing of the world.

Commands are the right ones of each fault and decoys: a twin that only ever met what works would never be seen to err.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from domain.base import TimeRange, digest_of
from domain.commands import Proposal
from domain.desired import DesiredState, EnvironmentState
from domain.errors import Invalid
from domain.evidence import EvidencePack, SpanStats
from domain.ids import EnvironmentId, IncidentId, TenantId
from domain.incidents import Incident
from domain.topology import Topology
from evals.right_answers import carry_out, proposal_of
from runtime.simulator import faults, readers, traces
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Answer
from runtime.simulator.flow import Ints
from runtime.simulator.generator import foreign_laws, random_world
from runtime.simulator.pricing import FULL_W_PER_CORE, IDLE_W_PER_CORE, PUE
from runtime.simulator.queueing import Floats
from runtime.simulator.record import launch
from runtime.simulator.streams import stream
from runtime.simulator.twin_model import usd_per_core_hour
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

WorldKind = Literal["foreign", "textbook", "demo"]
"""Random under foreign laws, random under the laws the twin assumes, or the demo world."""
WARM_UP = timedelta(hours=1)
HORIZON_S = 1800
"""What the loop asks for."""
NOTICED_MIN = (3.0, 8.0)
"""From the first hurt to the pack: the shortest hold of an alert and the loop's rounds, up to a slow one."""
LONGEST_WAIT = timedelta(minutes=30)
ANSWERS = 3
"""Right commands tried per situation: after a zone is lost, any caller's shift is one."""
QUANTITIES = ("slo_attainment", "latency_p95_ms", "error_rate", "cost_usd_per_hour", "carbon_g_per_hour")


@dataclass(frozen=True, slots=True)
class Lived:
    """One command in one situation, and what it truly changed, by quantity."""

    fault: str
    seed: int
    right: bool
    pack: EvidencePack
    proposal: Proposal
    true: dict[str, float]


def lived(name: str, seed: int, world: WorldKind = "foreign") -> Iterator[Lived]:
    """Live through every command of one fault; nothing where the fault finds no target or never hurts."""
    here = _launched(world, seed)
    here.advance(here.now + WARM_UP)
    began = here.now
    try:
        truth = faults.inject(here, faults.draw(here, name, seed))
    except Invalid:
        return
    while not hurting(here):
        if here.now > began + LONGEST_WAIT:
            return
        here.advance(here.now + timedelta(seconds=30))
    noticed = stream(seed, f"noticed-{name}").uniform(*NOTICED_MIN)
    here.advance(here.now + timedelta(minutes=float(noticed)))
    found = hurting(here)
    if found:
        yield from _commands(here, name, seed, found[0].service, began, truth.answers)


def _launched(kind: WorldKind, seed: int) -> World:
    spec = (
        demo_world() if kind == "demo" else random_world(seed, laws=foreign_laws(seed) if kind == "foreign" else None)
    )
    return launch(spec.model_copy(update={"retention_steps": 900}), seed)


def _commands(
    world: World, name: str, seed: int, symptom: str, began: datetime, answers: tuple[Answer, ...]
) -> Iterator[Lived]:
    nothing = deepcopy(world)
    nothing.advance(nothing.now + timedelta(seconds=HORIZON_S))
    right = [a for a in answers if a.kind != "ticket.open"][:ANSWERS]
    decoys = [a for a in _decoys(world, symptom) if (a.kind, a.target) not in {(r.kind, r.target) for r in right}]
    prices = usd_per_core_hour(pack_of(world, symptom, began, whole=True), world.layout)
    for answer in (*right, *decoys):
        changed = deepcopy(world)
        carry_out(changed, proposal_of(changed, answer))
        changed.advance(changed.now + timedelta(seconds=HORIZON_S))
        with_command, without = (_totals(one, symptom, prices) for one in (changed, nothing))
        yield Lived(
            fault=name, seed=seed, right=answer in right, proposal=proposal_of(world, answer),
            pack=pack_of(world, symptom, began, whole=_whole(world, symptom, answer)),
            true={q: with_command[q] - without[q] for q in QUANTITIES},
        )  # fmt: skip


def _decoys(world: World, symptom: str) -> tuple[Answer, ...]:
    """What a runbook would try on the service that hurts: restart it, give it more room."""
    state, target = world.live.services[symptom], f"service/{symptom}"
    more = "scaling_policy.update" if state.scaling is not None and state.scaling.enabled else "service.scale"
    return Answer(kind="service.restart", target=target), Answer(kind=more, target=target)


def _whole(world: World, symptom: str, answer: Answer) -> bool:
    """Whether the command is the platform's business: a tenant's limit, or a service of somebody else."""
    kind, _, name = answer.target.partition("/")
    owner = {s.id: s.tenant for s in world.layout.services}
    return kind != "service" or owner[name] != owner[symptom]


def pack_of(world: World, symptom: str, began: datetime, *, whole: bool = False) -> EvidencePack:
    """Return what the readers give the agent of the symptom's tenant, or the platform's own agent (`whole`)."""
    tenant = world.layout.services[world.layout.service_index[symptom]].tenant
    topology, desired = readers.topology(world), world.environment_state()
    if not whole:
        topology, desired = _seen_by(tenant, topology, desired)
    start, now, where = began - timedelta(minutes=50), world.now, EnvironmentId(world.spec.environment)
    entities = tuple(f"service/{s.id}" for s in topology.services) + tuple(
        e.target for e in topology.edges if e.target.startswith("external/")
    )
    series = tuple(
        s for span in ((start, began), (began, now)) for s in readers.series_window(world, *span, entities=entities)
    )
    return EvidencePack(
        incident=Incident(
            id=IncidentId("i"), tenant=TenantId(tenant), environment=where, title="t", severity="error",
            status="open", fingerprint=digest_of("x"), opened_at=began, last_event_at=now,
            entities=(f"service/{symptom}",),
        ),
        tenant=TenantId(tenant), environment=where, at=now, baseline=TimeRange(start=start, end=began),
        current=TimeRange(start=began, end=now), symptom=f"service/{symptom}", symptom_kind="latency", items=(),
        topology=topology, series=series, changes=readers.changes(world, start, now),
        spans=_spans(world, entities, start, began, now),
        desired=DesiredState(environment=where, tenant=TenantId(tenant), version=1, base=desired),
        bindings=world.spec.tenants,
    )  # fmt: skip


def _spans(
    world: World, entities: tuple[str, ...], start: datetime, began: datetime, now: datetime
) -> tuple[SpanStats, ...]:
    return tuple(s for s in traces.spans(world, start, began, now) if s.entity in entities)


def _seen_by(tenant: str, topology: Topology, desired: EnvironmentState) -> tuple[Topology, EnvironmentState]:
    """A tenant sees its own services and the platform's, and the desired state of its own."""
    services = tuple(s for s in topology.services if s.tenant in {tenant, "platform"})
    kept = {f"service/{s.id}" for s in services}
    edges = tuple(
        e for e in topology.edges
        if (e.source in kept or not e.source.startswith("service/"))
        and (e.target in kept or not e.target.startswith("service/"))
    )  # fmt: skip
    own = {s.id: desired.services[s.id] for s in services if s.tenant == tenant}
    return (
        topology.model_copy(update={"services": services, "edges": edges}),
        desired.model_copy(update={"services": own}),
    )


def _totals(world: World, symptom: str, usd_per_core: Floats) -> dict[str, float]:
    """Sum up the horizon just lived through as the twin does: attainment over all, the rest over its last third."""
    history, columns = world.history, world.layout.columns(symptom)
    steps = history.rows(history.count - HORIZON_S // 10, history.count)
    late = steps[-len(steps) // 3 :]

    def of(channel: str, rows: Ints, where: list[int]) -> Floats:
        return history.truth(channel, rows, where)

    rate = of("request_rate", steps, columns) + 1e-9
    good = (1.0 - of("error_share", steps, columns)) * (1.0 - of("slow_share", steps, columns))
    weight = of("request_rate", late, columns) + 1e-9
    own = [w for w, s in enumerate(world.layout.rows) if not s.external]
    requested = of("replicas_desired", late, own) * world.plant.cores[own]
    used = of("cpu_cores", late, own)
    watts = requested * IDLE_W_PER_CORE + used * (FULL_W_PER_CORE - IDLE_W_PER_CORE)
    grid = np.array([world.layout.spec.regions[int(world.layout.region_of[w])].grid_gco2e_per_kwh for w in own])
    return {
        "slo_attainment": float((rate * good).sum() / rate.sum()),
        "latency_p95_ms": float((weight * of("latency_p95_ms", late, columns)).sum() / weight.sum()),
        "error_rate": float((weight * of("error_share", late, columns)).sum() / weight.sum()),
        "cost_usd_per_hour": float((requested * usd_per_core[own]).sum(axis=1).mean()),
        "carbon_g_per_hour": float((watts * PUE / 1000.0 * grid).sum(axis=1).mean()),
    }
