"""Traffic shift: send services' requests to their regions by weight, until an override ends."""

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
        """Override the region weights of every service named."""
        until = (at + timedelta(seconds=wanted.duration_s)).isoformat()
        return tuple(
            Patch(
                op="set", path=("services", service, "traffic", "region_weights"), value=dict(wanted.region_weights),
                override_until=until,
            )
            for service in dict.fromkeys((wanted.service, *wanted.also))
        )  # fmt: skip

    async def check(self, wanted: TrafficShift, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for a region that one of the services does not run in."""
        for name in (wanted.service, *wanted.also):
            service = topology.service(name)
            if service is None or not set(wanted.region_weights) <= set(service.regions):
                raise Invalid(f"{name} does not run in every region named", reason="region_unknown")
