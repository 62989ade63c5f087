"""Restart: replace the replicas of a service one after another."""

from domain.arguments import ServiceRestart
from domain.runtime_api import RestartBody
from tools.recorded_action import RecordedAction


class Restart(RecordedAction[ServiceRestart]):
    """Nothing lasting: the same version with the same configuration starts afresh."""

    arguments = ServiceRestart
    route = "operations"

    def body(self, wanted: ServiceRestart) -> RestartBody:
        """Ask for a restart."""
        return RestartBody(service=wanted.service, reason=wanted.reason)
