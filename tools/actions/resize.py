"""Resize: set the requests of each replica of a service."""

from datetime import datetime

from domain.arguments import ServiceResize
from domain.changes import Patch
from tools.desired_action import DesiredAction


class Resize(DesiredAction[ServiceResize]):
    """CPU and memory are written together, so that they are taken back together."""

    arguments = ServiceResize

    def patches(self, wanted: ServiceResize, at: datetime) -> tuple[Patch, ...]:
        """Write CPU and memory."""
        service = ("services", wanted.service)
        return (
            Patch(op="set", path=(*service, "cpu_millicores"), value=wanted.cpu_millicores),
            Patch(op="set", path=(*service, "memory_mib"), value=wanted.memory_mib),
        )
