"""Remedy: make one resource meet one compliance control."""

from datetime import datetime

from domain.arguments import ComplianceRemediate
from domain.changes import Patch
from domain.commands import Proposal
from domain.compliance import ComplianceFinding, CompliancePosture
from domain.errors import Invalid, NotFound
from domain.ids import PLATFORM
from tools.client import RuntimeClient
from tools.desired_action import DesiredAction
from tools.readers.runtime import RuntimeApiReader


class Remediate(DesiredAction[ComplianceRemediate]):
    """The runtime says which writes end a finding. Where the document is right already they write it again.

    That changes no value that shall be: the new version makes what runs follow, and nothing is left to take back.
    """

    arguments = ComplianceRemediate

    async def writes(
        self, wanted: ComplianceRemediate, proposal: Proposal, client: RuntimeClient, at: datetime
    ) -> tuple[Patch, ...]:
        """Read the remedy of the finding: the platform's, who judges for everybody whom a thing serves.

        Raises NotFound for what is not the tenant's own, Invalid where the control is met or no field would meet it.
        """
        del at
        own = _findings(await RuntimeApiReader(client).posture(proposal.environment))
        if wanted.resource not in {finding.resource for finding in own}:
            raise NotFound("no such resource")
        judged = _findings(await RuntimeApiReader(self._client.for_tenant(PLATFORM)).posture(proposal.environment))
        found = [f for f in judged if (f.control, f.resource) == (wanted.control, wanted.resource)]
        if not found:
            raise Invalid(f"no control {wanted.control} judges {wanted.resource}", reason="control_unknown")
        if all(finding.status == "satisfied" for finding in found):
            raise Invalid(f"{wanted.resource} meets {wanted.control} already", reason="no_change")
        remedy = next((finding.remedy for finding in found if finding.remedy), ())
        if not remedy:
            raise Invalid(f"no field of {wanted.resource} would make it meet {wanted.control}", reason="no_remedy")
        return remedy


def _findings(posture: CompliancePosture) -> list[ComplianceFinding]:
    """Return all findings, those of what runs first."""
    return [f for state in reversed(posture.states) for control in state.controls for f in control.findings]
