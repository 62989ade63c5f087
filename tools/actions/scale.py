"""Scale: set the replicas of a service that no scaling policy owns."""

from datetime import datetime

from domain.arguments import ServiceScale
from domain.changes import Patch
from tools.desired_action import DesiredAction


class Scale(DesiredAction[ServiceScale]):
    """Where a policy owns the replicas the runtime refuses with the hint to change the policy."""

    arguments = ServiceScale

    def patches(self, wanted: ServiceScale, at: datetime) -> tuple[Patch, ...]:
        """Write the replicas."""
        return (Patch(op="set", path=("services", wanted.service, "replicas"), value=wanted.replicas),)
