"""Schedule: run a service only in stated hours."""

from datetime import datetime

from domain.arguments import ServiceSchedule
from domain.changes import Patch
from tools.desired_action import DesiredAction


class Schedule(DesiredAction[ServiceSchedule]):
    """The hours are written and taken back as a whole; replicas and policy stay what they are inside them."""

    arguments = ServiceSchedule

    def patches(self, wanted: ServiceSchedule, at: datetime) -> tuple[Patch, ...]:
        """Write the hours."""
        hours = wanted.model_dump(mode="json", exclude={"service"})
        return (Patch(op="set", path=("services", wanted.service, "schedule"), value=hours),)
