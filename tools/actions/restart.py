"""Restart: replace the replicas of a service one after another."""

from pydantic import JsonValue

from domain.arguments import ServiceRestart
from tools.recorded_action import RecordedAction


class Restart(RecordedAction[ServiceRestart]):
    """Nothing lasting: the same version with the same configuration starts afresh."""

    arguments = ServiceRestart
    route = "operations"

    def body(self, wanted: ServiceRestart) -> dict[str, JsonValue]:
        """Ask for a restart."""
        return {"operation": "restart", **wanted.model_dump(mode="json")}
