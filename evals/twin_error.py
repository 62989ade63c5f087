"""How wrong the digital twin is: each recoverable fault's right command, predicted from readings and lived through.

The true change is the difference of two copies of the world, one with the command; the twin sees what the tenant's own
agent would. Run `python -P -m evals.twin_error --seeds 3`: one row per case, then bias and coverage per quantity.
"""

import argparse
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.base import TimeRange, digest_of
from domain.commands import Prediction, Quantity
from domain.desired import DesiredState, EnvironmentState
from domain.evidence import EvidencePack
from domain.ids import EnvironmentId, IncidentId, TenantId
from domain.incidents import Incident
from domain.topology import Topology
from evals.right_answers import carry_out, proposal_of
from runtime.simulator import faults, readers
from runtime.simulator.demo import demo_world
from runtime.simulator.faults import Answer
from runtime.simulator.flow import Ints
from runtime.simulator.pricing import FULL_W_PER_CORE, IDLE_W_PER_CORE, PUE
from runtime.simulator.queueing import Floats
from runtime.simulator.record import launch
from runtime.simulator.twin import Twin
from runtime.simulator.twin_model import usd_per_core_hour
from runtime.simulator.verdict import hurting
from runtime.simulator.world import World

WARM_UP = timedelta(hours=1)
HORIZON_S = 1800
"""What the loop asks for."""
NOTICED = timedelta(minutes=3)
"""From the first hurt to the pack: the shortest hold of an alert and the loop's rounds."""
LONGEST_WAIT = timedelta(minutes=30)
QUANTITIES = ("slo_attainment", "latency_p95_ms", "error_rate", "cost_usd_per_hour", "carbon_g_per_hour")


@dataclass(frozen=True, slots=True)
class Case:
    """One command: what was predicted and what it truly changed, by quantity."""

    fault: str
    seed: int
    kind: str
    prediction: Prediction
    true: dict[str, float]


@dataclass(frozen=True, slots=True)
class Error:
    """How one quantity fared over the cases that were predicted at all."""

    quantity: str
    cases: int
    bias: float
    """Mean of predicted minus true."""
    mean_absolute: float
    right_direction: float
    """Share of the cases with a true change that matters in which the sign was predicted."""
    covered: float
    """Share whose true change lies in the predicted 90 % interval."""


# Below these a change matters to nobody: half a point of attainment or errors, 5 ms, a cent and a gram an hour.
MATTERS = {"slo_attainment": 0.005, "latency_p95_ms": 5.0, "error_rate": 0.005, "cost_usd_per_hour": 0.01,
           "carbon_g_per_hour": 1.0}  # fmt: skip


def measure(seeds: range, names: tuple[str, ...] = ()) -> list[Case]:
    """Predict and live through the first right answer of every recoverable fault (or of `names`)."""
    wanted = [f.name for f in faults.FAULTS if f.ending == "recover" and (not names or f.name in names)]
    return [case for seed in seeds for case in (_case(name, seed) for name in wanted) if case is not None]


def _case(name: str, seed: int) -> Case | None:
    world = launch(demo_world().model_copy(update={"retention_steps": 900}), seed)
    world.advance(world.now + WARM_UP)
    began, truth = world.now, faults.inject(world, faults.draw(world, name, seed))
    while not hurting(world):
        if world.now > began + LONGEST_WAIT:
            return None
        world.advance(world.now + timedelta(seconds=30))
    world.advance(world.now + NOTICED)
    found, answer = hurting(world), truth.answers[0]
    if not found:
        return None
    symptom = found[0].service
    prediction = Twin().rehearse(
        pack_of(world, symptom, began, answer), proposal_of(world, answer), horizon_s=HORIZON_S
    )
    return Case(name, seed, answer.kind, prediction, _true_change(world, answer, symptom))


def pack_of(world: World, symptom: str, began: datetime, answer: Answer) -> EvidencePack:
    """Return what the readers give the agent of the symptom's tenant; a tenant's limit is the platform's business."""
    tenant = world.layout.services[world.layout.service_index[symptom]].tenant
    topology, desired = readers.topology(world), world.environment_state()
    if answer.kind != "tenant.throttle":
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
        desired=DesiredState(environment=where, tenant=TenantId(tenant), version=1, base=desired),
        bindings=world.spec.tenants,
    )  # fmt: skip


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


def _true_change(world: World, answer: Answer, symptom: str) -> dict[str, float]:
    without, changed = deepcopy(world), deepcopy(world)
    carry_out(changed, answer)
    prices = usd_per_core_hour(
        pack_of(world, symptom, world.now - NOTICED, Answer(kind="tenant.throttle", target="tenant/-")), world.layout
    )
    totals: list[dict[str, float]] = []
    for one in (without, changed):
        one.advance(one.now + timedelta(seconds=HORIZON_S))
        totals.append(_totals(one, symptom, prices))
    return {name: totals[1][name] - totals[0][name] for name in QUANTITIES}


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


def errors(cases: list[Case]) -> list[Error]:
    """Bias, mean absolute error, direction and coverage per quantity over what was predicted."""
    found: list[Error] = []
    for name in QUANTITIES:
        pairs = [(q, c.true[name]) for c in cases if (q := _quantity(c.prediction, name)) is not None]
        if not pairs:
            continue
        gaps = np.array([q.value - true for q, true in pairs])
        moved = [(q, true) for q, true in pairs if abs(true) > MATTERS[name]]
        found.append(
            Error(
                quantity=name, cases=len(pairs), bias=float(gaps.mean()), mean_absolute=float(np.abs(gaps).mean()),
                right_direction=float(np.mean([q.value * true > 0.0 for q, true in moved])) if moved else 1.0,
                covered=float(np.mean([covers(q, true, MATTERS[name]) for q, true in pairs])),
            )
        )  # fmt: skip
    return found


def covers(predicted: Quantity, true: float, matters: float) -> bool:
    """Tell whether the interval contains the truth, to within a change that matters to nobody."""
    return predicted.low - matters <= true <= predicted.high + matters


def _quantity(prediction: Prediction, name: str) -> Quantity | None:
    return getattr(prediction, name) if prediction.known else None


def main() -> None:
    """Print one line per case and one per quantity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to this many")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("faults", nargs="*", help="only these")
    asked = parser.parse_args()
    cases = measure(range(asked.first, asked.first + asked.seeds), tuple(asked.faults))
    for case in cases:
        print(_line(case))
    for error in errors(cases):
        print(
            f"{error.quantity:18} {error.cases:3} cases  bias {error.bias:+.3g}  mean |error| {error.mean_absolute:.3g}"
            f"  direction {error.right_direction:.0%}  covered {error.covered:.0%}"
        )
    print(f"known {sum(c.prediction.known for c in cases)} of {len(cases)}")


def _line(case: Case) -> str:
    told = [f"{case.fault:18} {case.seed:3} {case.kind:21} fit {case.prediction.fit or 0.0:.2f}"]
    if not case.prediction.known:
        return f"{told[0]}  unknown: {case.prediction.note}"
    told.extend(
        f"{name[:5]} {q.value:+.3g} [{q.low:+.3g}, {q.high:+.3g}] true {case.true[name]:+.3g}"
        for name in QUANTITIES if (q := _quantity(case.prediction, name)) is not None
    )  # fmt: skip
    return "  ".join(told)


if __name__ == "__main__":
    main()
