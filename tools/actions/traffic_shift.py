"""Traffic shift: send a service's requests to its regions by weight, until an override ends."""

from datetime import datetime, timedelta

from domain.arguments import TrafficShift
from domain.changes import Patch
from domain.errors import Invalid
from domain.topology import Topology
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction


class ShiftTraffic(DesiredAction[TrafficShift]):
    """An override: the weights before come back by themselves."""

    arguments = TrafficShift

    def patches(self, wanted: TrafficShift, at: datetime) -> tuple[Patch, ...]:
        """Override the region weights."""
        path = ("services", wanted.service, "traffic", "region_weights")
        until = (at + timedelta(seconds=wanted.duration_s)).isoformat()
        return (Patch(op="set", path=path, value=dict(wanted.region_weights), override_until=until),)

    async def check(self, wanted: TrafficShift, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for a region the service does not run in."""
        service = topology.service(wanted.service)
        if service is None or not set(wanted.region_weights) <= set(service.regions):
            raise Invalid("the service does not run in every region named", reason="region_unknown")
