"""Traffic policy: replace how requests to a service are led, limited and moved to another version."""

from datetime import datetime

from domain.arguments import TrafficPolicyApply
from domain.changes import Patch
from domain.errors import Invalid
from domain.topology import Topology
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction


class ApplyTrafficPolicy(DesiredAction[TrafficPolicyApply]):
    """The policy is written and taken back as a whole; taking back one with a release under way ends that release."""

    arguments = TrafficPolicyApply

    def patches(self, wanted: TrafficPolicyApply, at: datetime) -> tuple[Patch, ...]:
        """Write the policy."""
        policy = wanted.policy.model_dump(mode="json")
        return (Patch(op="set", path=("services", wanted.service, "traffic"), value=policy),)

    async def check(self, wanted: TrafficPolicyApply, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for a region that the service does not run in."""
        service = topology.service(wanted.service)
        named = set(wanted.policy.region_weights) | set(wanted.policy.region_failover)
        if service is None or not named <= set(service.regions):
            raise Invalid(f"{wanted.service} does not run in every region named", reason="region_unknown")
