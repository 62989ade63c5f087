"""`/runtime/traffic-policies`: put a service's traffic policy before the door, and read how its release goes."""

# ruff: noqa: FAST003  # the environment in the path is read by the `access` dependency

from fastapi import APIRouter, Response
from pydantic import Field

from domain.base import Frozen, Slug
from domain.changes import Patch
from domain.errors import Invalid
from domain.policies import TrafficPolicy
from domain.releases import ServiceTraffic, TrafficAnswer
from domain.runtime_api import RATIONALE_LENGTH, ProposedAnswer
from runtime import state
from runtime.api.caller import Acting, Here, Services, Who, enter_writing
from runtime.api.frame import Framed, WriteAnswer, answer, write_of
from runtime.services.traffic.controller import RELEASES

router = APIRouter(prefix="/runtime/traffic-policies", tags=["traffic"])


class TrafficPolicyBody(Frozen):
    """The whole traffic policy of one service."""

    environment: Slug
    service: Slug
    policy: TrafficPolicy
    rationale: str = Field(default="", max_length=RATIONALE_LENGTH)


@router.post("", responses={202: {"model": ProposedAnswer}})
async def post_traffic_policy(  # the frame of every write
    runtime: Services, who: Who, tenant: Acting, framed: Framed, body: TrafficPolicyBody, response: Response
) -> WriteAnswer:
    """Replace the traffic policy of a service; a release in it starts once this is approved."""
    here = await enter_writing(runtime, who, tenant, body.environment)
    here.view.check_owned(f"service/{body.service}")
    check_regions(body.policy, next(s.regions for s in here.view.topology().services if s.id == body.service))
    value = body.policy.model_dump(mode="json")
    patch = Patch(op="set", path=("services", body.service, "traffic"), value=value)
    write = write_of(here, framed, "traffic-policies", body, body.rationale)
    return answer(response, await runtime.door.patch(write, (patch,), here.view))


@router.get("/{environment}")
async def traffic_policies(runtime: Services, here: Here) -> TrafficAnswer:
    """Return how the tenant's own services are reached, and how their releases go."""
    now = runtime.clock.now()
    with runtime.database.read() as connection:
        desired = here.view.desired(state.current(connection, here.environment)).effective(now)
        known = {d.body.service: d.body for d in RELEASES.list(connection, here.environment)}
    found = tuple(
        ServiceTraffic(
            service=name, version=held.version, policy=held.traffic, split=held.split, release=known.get(name)
        )
        for name, held in sorted(desired.services.items())
    )
    return TrafficAnswer(environment=here.environment, services=found)


def check_regions(policy: TrafficPolicy, regions: tuple[str, ...]) -> None:
    """Raise Invalid for a region that the service does not run in."""
    strange = (set(policy.region_weights) | set(policy.region_failover)) - set(regions)
    if strange:
        raise Invalid(f"the service does not run in {', '.join(sorted(strange))}", reason="region_unknown")
