"""Rebind: bind a tenant to another primary region, where its users are led from then on."""

from datetime import datetime

from domain.arguments import TenantRebind
from domain.changes import Patch
from domain.errors import Invalid
from domain.topology import Topology
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction


class Rebind(DesiredAction[TenantRebind]):
    """A lasting patch; residency is policy's to judge."""

    arguments = TenantRebind

    def patches(self, wanted: TenantRebind, at: datetime) -> tuple[Patch, ...]:
        """Set the tenant's primary region."""
        del at
        path = ("tenants", wanted.tenant, "primary_region")
        return (Patch(op="set", path=path, value=wanted.primary_region),)

    async def check(self, wanted: TenantRebind, topology: Topology, client: RuntimeClient) -> None:
        """Raise Invalid for a region that the environment does not have."""
        del client
        if wanted.primary_region not in topology.regions:
            raise Invalid("no such region in this environment", reason="unknown_region")
