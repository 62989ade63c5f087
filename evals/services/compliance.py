"""Compliance: every control's violation is found in time and remedied, by hand or as wanted; nothing else is found."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import process_time

from pydantic import JsonValue

from agents import AGENTS
from analysis.compliance.estate import Estate
from analysis.compliance.judging import Memory, judge
from domain.arguments import ComplianceWaive
from domain.changes import PatchPath
from domain.commands import CommandRecord, Proposal, State
from domain.compliance import Control, ControlSet
from domain.desired import EnvironmentState, ServiceState
from domain.ids import PLATFORM, EnvironmentId, PrincipalId, TenantId
from domain.runtime_api import OperationRecord, Progress
from domain.tenancy import Residency, RuntimeTenantBinding
from domain.topology import EntityRef, RuntimeService, Topology
from evals.service_cases import Case, Check, Measured
from evals.services.compliance_place import CompliancePlace, compliance_place, shipped, without
from mesh.on_call import Approver
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from runtime.services.compliance.waivers import Waive
from runtime.simulator import faults
from runtime.simulator.actuators import write_by_hand, write_externally
from runtime.simulator.generator import random_world
from runtime.simulator.spec import RegionSpec, WorldSpec
from runtime.simulator.world import World

WITHIN_S = 330
"""The worker's five minutes and one turn of the runtime."""
ABROAD = "brazilsouth"


@dataclass(frozen=True, slots=True)
class Breach:
    """How one control is violated: a field of the k-th resource of a section, and what it is set to."""

    control: str
    section: str
    path: PatchPath
    value: JsonValue

    def resource(self, world: World, seed: int) -> tuple[PatchPath, str]:
        """Return the field in the document and the address of what it belongs to."""
        state = world.environment_state().model_dump(mode="json")
        names = sorted(state[self.section])
        if self.path == ("serves_tls",):
            names = sorted(name.removesuffix("-tls") for name in world.certificates)
        name = names[seed % len(names)]
        kind = {"services": "service", "data_stores": "data_store", "tenants": "tenant"}[self.section]
        return (self.section, name, *self.path), f"{kind}/{name}"


BREACHES = (
    Breach("residency-compute", "services", ("traffic", "region_weights"), {ABROAD: 1.0}),
    Breach("residency-data", "data_stores", ("replica_region",), ABROAD),
    Breach("residency-backups", "data_stores", ("backup_region",), ABROAD),
    Breach("residency-logs", "tenants", ("logs_region",), ABROAD),
    Breach("residency-evidence", "tenants", ("evidence_hosts",), ["api.elsewhere.example"]),
    Breach("encryption-at-rest", "data_stores", ("encrypted_at_rest",), False),
    Breach("encryption-in-transit", "services", ("serves_tls",), False),
    Breach("pod-security", "services", ("pod", "privileged"), True),
    Breach("exposure", "services", ("ingress_from",), ["10.0.0.0/8", "0.0.0.0/0"]),
    Breach("backup-retention", "data_stores", ("backup_retention_days",), 0),
)


async def _closes(seed: int, folder: Path, *, breach: Breach, broken: bool = False) -> Measured:
    """By hand on even seeds (only what runs is wrong), through the document on odd ones (it is wanted so)."""
    controls = without(shipped(), breach.control) if broken else shipped()
    place = await compliance_place(random_world(seed), seed, folder, controls)
    await place.live(10 + seed / 2)
    quiet = len(place.open())
    path, resource = breach.resource(place.world, seed)
    drift = write_by_hand if seed % 2 == 0 else write_externally
    drift(place.world, path, breach.value, "t.okafor")
    _drift_otherwise(place.world)
    since = place.world.now
    await place.live(WITHIN_S / 60)
    found = [(f, at) for f, at in place.open() if (f.resource, f.episode) == (resource, breach.control)]
    proposed = [p for p in place.taken.proposals if p.arguments == {"control": breach.control, "resource": resource}]
    others = len(place.open()) - len(found)
    done = bool(proposed) and await place.write(breach.control, resource)
    await place.live(6)
    return Measured(
        checks=(
            Check(name="findings on a healthy world", value=quiet, bound=0),
            Check(name="found and proposed", value=len(proposed), bound=1),
            Check(name="findings about anything else", value=others, bound=0),
            Check(name="remedied", value=float(done and place.held(path) != breach.value), bound=1),
            Check(name="open after the remedy", value=len(place.open()), bound=0),
        ),
        figures={"seconds_to_detect": (found[0][1] - since).total_seconds() if found else -1.0},
        reference="the worker's period of 300 s and a turn of 30 s; configuration drift beside it breaks no control",
    )  # fmt: skip


def _drift_otherwise(world: World) -> None:
    """Somebody also changes by hand what no control is about."""
    store = min(world.data_stores)
    write_by_hand(world, ("data_stores", store, "max_connections"), 77, "sanne")


def _case(breach: Breach) -> Case:
    return Case(
        name=f"compliance-{breach.control}",
        covers="compliance",
        summary=f"a violation of {breach.control} is found within {WITHIN_S} s, proposed and remedied",
        run=partial(_closes, breach=breach),
        planted=partial(_closes, breach=breach, broken=True),
        breaks=f"the policy set lacks {breach.control}",
    )


def _promised_more(spec: WorldSpec) -> WorldSpec:
    """The same world with a tenant that was promised more than it got: nodes of its own, a pair inside its regions."""
    shared = next(t for t in spec.tenants if t.tenant != PLATFORM and t.isolation != "dedicated")
    update = {"isolation": "dedicated", "paired_region": ABROAD}
    tenants = tuple(t.model_copy(update=update) if t is shared else t for t in spec.tenants)
    return spec.model_copy(update={"tenants": tenants})


async def _told(seed: int, folder: Path, *, controls: ControlSet | None = None) -> Measured:
    """What no field remedies is told to people; what another worker owns is in the posture and nowhere else."""
    spec = _promised_more(random_world(seed))
    place = await compliance_place(spec, seed, folder, controls or shipped())
    name = min(place.world.certificates)
    place.world.certificates[name] = place.world.elapsed_s + 3 * 86_400.0
    await place.live(1)
    found = {f.episode for f, _ in place.open()}
    failing = {f.control for f in await place.failing()}
    return Measured(
        checks=(
            Check(name="isolation and failover told", value=len(found & {"isolation", "residency-failover"}), bound=2),
            Check(name="certificate in the posture", value=float("certificate-expiry" in failing), bound=1),
            Check(name="findings that are others' to raise", value=len(found & {"certificate-expiry", "zone-spread"}),
                  bound=0),
            Check(name="proposals where no field helps", value=len(place.taken.proposals), bound=0),
        ),
        figures={"findings": float(len(found))},
        reference="one owner per finding: domain.findings.OWNERS and each control's found_by",
    )  # fmt: skip


async def _told_broken(seed: int, folder: Path) -> Measured:
    return await _told(seed, folder, controls=without(shipped(), "isolation"))


async def _waived(seed: int, folder: Path, *, other: bool = False) -> Measured:
    """Two hours of waiver: silent and passed until then, red after. `other`: it is written for another resource."""
    place = await compliance_place(random_world(seed), seed, folder, shipped())
    stores = sorted(place.world.data_stores)
    store, beside = stores[0], stores[1]
    write_externally(place.world, ("data_stores", store, "encrypted_at_rest"), False, "t.okafor")
    await _waive(place, beside if other else store, timedelta(hours=2))
    await place.live(10)
    silent = len(place.open())
    passed = not any(f.control == "encryption-at-rest" for f in await place.failing())
    await place.live(115)
    again = sum(f.episode == "encryption-at-rest" for f, _ in place.open())
    return Measured(
        checks=(
            Check(name="findings while it is waived", value=silent, bound=0),
            Check(name="passed while it is waived", value=float(passed), bound=1),
            Check(name="found again after the waiver's end", value=again, bound=1),
        ),
        figures={},
        reference="the waiver's own end",
    )


async def _waive(place: CompliancePlace, store: str, lasts: timedelta) -> None:
    topology = await place.parts.target.topology(place.world.spec.environment)
    owner = next(d.tenant for d in topology.data_stores if d.id == store)
    wanted = ComplianceWaive(
        control="encryption-at-rest", resource=f"data_store/{store}", until=place.world.now + lasts,
        accountable="ann", reason="moving the keys",
    )  # fmt: skip
    record = OperationRecord(
        id="op", tenant=owner, environment=place.world.spec.environment, idempotency_key="w",
        kind="compliance.waive", target=wanted.resource, arguments=wanted.model_dump(mode="json"),
        actor=PrincipalId("executor"), accepted_at=place.world.now, progress=Progress(status="accepted"),
    )  # fmt: skip
    await Waive(place.parts).step(record)


async def _waived_other(seed: int, folder: Path) -> Measured:
    return await _waived(seed, folder, other=True)


async def _governed(seed: int, folder: Path, *, broken: bool = False) -> Measured:
    """The whole path: a fault found, proposed, approved, carried out and verified; a command that breaks one denied."""
    choices = Choices(warm_up=timedelta(0), approver=Approver(), loops=("compliance_drift",))
    place = await open_simulated(folder, _with_elsewhere(random_world(seed)), seed, choices)
    try:
        return await _through_the_door(place, seed, broken=broken)
    finally:
        await place.mesh.close()


async def _through_the_door(place: SimulatedMesh, seed: int, *, broken: bool) -> Measured:
    await place.simulation.run(place.world.now + timedelta(minutes=1))
    drawn = faults.draw(place.world, "encryption_off", seed)
    faults.inject(place.world, drawn)
    if broken:
        place.mesh.policy.controls = without(shipped(), "residency-failover")
    decision = (await place.mesh.submission.preview(_leaving(place)))[1]
    named = any("residency-failover on" in reason for reason in decision.reasons)
    began = place.world.now
    await place.simulation.run(began + timedelta(minutes=40), stop=lambda: bool(_succeeded(place, drawn.entity)))
    return Measured(
        checks=(
            Check(name="remedied by a verified command", value=len(_succeeded(place, drawn.entity)), bound=1),
            Check(name="violation gone", value=float(not faults.present(place.world, drawn)), bound=1),
            Check(name="a command into a forbidden region denied", value=float(decision.effect == "deny"), bound=1),
            Check(name="the deny names the control", value=float(named), bound=1),
        ),
        figures={"minutes_to_verified": (place.world.now - began).total_seconds() / 60},
        reference="live-only fault encryption_off of the simulator's drift faults; an approver answers after 3 minutes",
    )


def _succeeded(place: SimulatedMesh, resource: str) -> list[CommandRecord]:
    records = place.mesh.governed.commands.list("*", states=[State.SUCCEEDED])
    wanted = {"control": "encryption-at-rest", "resource": resource}
    return [r for r in records if r.command.kind == "compliance.remediate" and r.command.arguments == wanted]


def _leaving(place: SimulatedMesh) -> Proposal:
    """Lead a tenant to the region that its residency forbids."""
    tenant = next(t for t in place.world.spec.tenants if t.tenant != PLATFORM)
    return Proposal(
        kind="tenant.rebind", arguments={"tenant": tenant.tenant, "primary_region": ABROAD},
        target=EntityRef(kind="tenant", id=tenant.tenant), tenant=tenant.tenant,
        environment=place.world.spec.environment, proposer=AGENTS[0].principal, rationale="to be denied",
        confidence=0.9,
    )  # fmt: skip


def _with_elsewhere(spec: WorldSpec) -> WorldSpec:
    """The same world, quiet, with one more region: nobody runs there and nobody allows it."""
    elsewhere = RegionSpec(id=ABROAD, zones=(f"{ABROAD}-1",), grid_gco2e_per_kwh=100.0)
    return spec.model_copy(update={"regions": (*spec.regions, elsewhere), "chatter": False})


async def _governed_broken(seed: int, folder: Path) -> Measured:
    return await _governed(seed, folder, broken=True)


MANY = 10_000
AT_MOST_S = 1.0


def _estate(count: int) -> Estate:
    """A tenant with that many services in one allowed region."""
    tenant, environment = TenantId("acme"), EnvironmentId("prod")
    names = [f"s{k}" for k in range(count)]
    services = tuple(
        RuntimeService(
            id=n, tenant=tenant, environment=environment, compute_target="t", owner_team="x", regions=("west",)
        )
        for n in names
    )
    bound = RuntimeTenantBinding(
        tenant=tenant, environment=environment, isolation="shared", residency=Residency(allowed_regions=("west",)),
        primary_region="west", budget_usd_per_month=1.0,
    )  # fmt: skip
    state = ServiceState(version="v1", replicas=2, cpu_millicores=100, memory_mib=64)
    return Estate(
        EnvironmentState(services=dict.fromkeys(names, state)),
        Topology(environment=environment, regions=("west",), services=services),
        {tenant: bound},
        datetime(2026, 3, 2, tzinfo=UTC),
    )


def _stricter(control: Control) -> Control:
    demand = control.demand.model_copy(update={"widest_public_prefix": (24, 48)})
    return control.model_copy(update={"demand": demand}) if control.id == "exposure" else control


async def _incremental(_seed: int, _folder: Path, *, forgetful: bool = False) -> Measured:
    """A demand of one control changes: only that control judges its resources again."""
    estate, memory = _estate(MANY), Memory()
    began = process_time()
    judge(estate, shipped().controls, memory=memory)
    whole_s, whole = process_time() - began, memory.judged
    changed = [_stricter(c) for c in shipped().controls]
    again = Memory() if forgetful else memory
    again.judged, began = 0, process_time()
    found = judge(estate, changed, memory=again)
    lasted_s = process_time() - began
    return Measured(
        checks=(
            Check(name="verdicts worked out again", value=again.judged, bound=MANY),
            Check(name="seconds of CPU after the change", value=lasted_s, bound=AT_MOST_S, at="most"),
            Check(name="judged otherwise than afresh", value=float(found != judge(estate, changed)), bound=0),
        ),
        figures={"resources": MANY, "verdicts": whole, "whole_s": whole_s, "after_change_s": lasted_s},
        reference="the same judging without a memory",
    )


async def _forgetful(seed: int, folder: Path) -> Measured:
    return await _incremental(seed, folder, forgetful=True)


CASES: tuple[Case, ...] = (
    *(_case(breach) for breach in BREACHES),
    Case(
        "compliance-told", "compliance", "what no field remedies is told, what others own is left to them",
        _told, _told_broken, "the policy set lacks isolation",
    ),
    Case(
        "compliance-waiver", "compliance", "a waiver silences its control and resource until it ends",
        _waived, _waived_other, "the waiver is for another resource",
    ),
    Case(
        "compliance-governed", "compliance", "found, proposed, approved, carried out; a preview that breaks is denied",
        _governed, _governed_broken, "the policy set lacks residency-failover",
    ),
    Case(
        "compliance-incremental", "compliance", "a policy change judges again what it touches, for 10,000 resources",
        _incremental, _forgetful, "nothing is remembered",
    ),
)  # fmt: skip
