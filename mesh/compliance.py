"""Compliance before anybody is asked: the controls of the policy set, judged on the state that a preview leads to."""

from dataclasses import dataclass
from datetime import datetime

from analysis.compliance.changes import violations
from analysis.compliance.estate import Estate, sharing_of
from domain.commands import Command
from domain.desired import EnvironmentState
from domain.ids import PLATFORM
from domain.tenancy import RuntimeTenantBinding
from domain.topology import Topology
from governance.policy import PolicySet
from mesh.readers import ApiReaders

NO_CONTROLS = "the policy set has no controls"


@dataclass(frozen=True, slots=True)
class ComplianceCheck:
    """Judges commands by the controls of the policy set that decides them."""

    policy: PolicySet
    readers: ApiReaders

    async def violations(
        self,
        command: Command,
        desired: EnvironmentState,
        topology: Topology,
        bindings: tuple[RuntimeTenantBinding, ...],
        at: datetime,
    ) -> tuple[str, ...]:
        """Return what the command's preview would break, as `control on resource`. Waivers that stand count.

        Raises Invalid for a preview that does not fit the state, Unavailable where waivers cannot be read.
        """
        controls = self.policy.controls
        if controls is None:
            return (NO_CONTROLS,)
        estate = Estate(desired, topology, {b.tenant: b for b in bindings}, at, sharing_of(topology))
        broken = violations(estate, command.preview, controls)
        if not broken:
            return ()
        waived = await self.readers.runtime(PLATFORM).waivers(command.environment)
        return violations(estate, command.preview, controls, waived)
