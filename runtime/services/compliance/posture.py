"""The posture of one tenant's part of an environment: what shall be and what is, judged side by side."""

from dataclasses import dataclass

from analysis.compliance.estate import Estate, sharing_of
from analysis.compliance.judging import judge, state_posture
from analysis.compliance.remedies import with_remedy
from domain.compliance import CompliancePosture, Control, ControlPosture, ControlSet, Waiver
from domain.desired import EnvironmentState
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.topology import Topology
from runtime import state
from runtime.parts import RuntimeParts
from runtime.scope import TenantView
from runtime.services.compliance.controls import JUDGED, controls_of
from runtime.services.compliance.waivers import waivers_of


@dataclass(frozen=True, slots=True)
class Seen:
    """What is judged: both states of what a tenant sees as its own, and the waivers it holds."""

    desired: Estate
    live: Estate
    waivers: tuple[Waiver, ...]


async def see(parts: RuntimeParts, environment: EnvironmentId, tenant: TenantId) -> Seen:
    """Read what is to be judged of a tenant's part. Raises Unavailable where the target does not answer."""
    whole = await parts.target.topology(environment)
    with parts.database.read() as connection:
        bound = state.bound_tenants(connection, environment)
        desired = state.current(connection, environment)
    view, now = TenantView(tenant, whole, bound), parts.clock.now()
    live = await parts.target.live(environment)
    return Seen(
        desired=_estate(view, whole, view.state(desired.effective(now)), parts),
        live=_estate(view, whole, view.state(live), parts),
        waivers=waivers_of(parts.database, environment, None if tenant == PLATFORM else (tenant,)),
    )


def posture_of(seen: Seen, controls: ControlSet, environment: EnvironmentId, tenant: TenantId) -> CompliancePosture:
    """Judge what was seen."""
    wanted = _judged(seen.desired, seen, controls)
    live = _judged(seen.live, seen, controls)
    return CompliancePosture(
        environment=environment,
        tenant=tenant,
        at=seen.live.at,
        policy=controls.policy,
        states=(state_posture("desired", seen.desired, wanted), state_posture("live", seen.live, live)),
    )


async def posture(parts: RuntimeParts, environment: EnvironmentId, tenant: TenantId) -> CompliancePosture:
    """Return the posture of a tenant's part of an environment now."""
    controls = controls_of(parts)
    return posture_of(await see(parts, environment, tenant), controls, environment, tenant)


def _judged(estate: Estate, seen: Seen, controls: ControlSet) -> tuple[ControlPosture, ...]:
    found = judge(estate, controls.controls, waivers=seen.waivers, memory=JUDGED)
    return tuple(_remedied(c, p, seen.desired) for c, p in zip(controls.controls, found, strict=True))


def _remedied(control: Control, found: ControlPosture, desired: Estate) -> ControlPosture:
    if found.status == "satisfied":
        return found
    findings = tuple(f if f.passed else with_remedy(f, control, desired) for f in found.findings)
    return found.model_copy(update={"findings": findings})


def _estate(view: TenantView, whole: Topology, found: EnvironmentState, parts: RuntimeParts) -> Estate:
    return Estate(found, view.own(), {b.tenant: b for b in view.bindings()}, parts.clock.now(), sharing_of(whole))
