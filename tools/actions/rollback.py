"""Rollback: return a service to a version that ran before."""

from datetime import datetime

from domain.arguments import ServiceRollback
from domain.changes import Patch
from domain.errors import Invalid
from domain.ids import EnvironmentId
from domain.topology import Topology
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction
from tools.readers.runtime import RuntimeApiReader


class Rollback(DesiredAction[ServiceRollback]):
    """A version that desired state never named is refused: a rollback deploys nothing new."""

    arguments = ServiceRollback

    def patches(self, wanted: ServiceRollback, at: datetime) -> tuple[Patch, ...]:
        """Write the version."""
        return (Patch(op="set", path=("services", wanted.service, "version"), value=wanted.to_version),)

    async def check(self, wanted: ServiceRollback, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for a version that never ran here."""
        ran = await RuntimeApiReader(client).versions(EnvironmentId(topology.environment), wanted.service)
        if wanted.to_version not in ran:
            raise Invalid("that version never ran here", reason="version_unknown")
