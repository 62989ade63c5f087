"""Compliance drift: what runs breaks a control, whoever wanted it so. Configuration drift that breaks none is not its
finding, and what both documents and reality agree on is, where a control forbids it.
"""

from dataclasses import dataclass
from datetime import timedelta

from domain.base import canonical_text
from domain.command_kinds import Proposer
from domain.compliance import ComplianceFinding, Control
from domain.findings import Act, Finding
from domain.ids import PLATFORM, EnvironmentId
from domain.topology import EntityRef
from runtime.parts import RuntimeParts
from runtime.services.compliance.controls import controls_of
from runtime.services.compliance.posture import posture_of, see

KIND = "compliance.drift"
SURE = 0.95
"""The verdict is read off, not estimated; what may be wrong is the reading. Our choice."""


@dataclass(frozen=True, slots=True)
class ComplianceDriftWorker:
    """Judges what runs every five minutes, and at once when the policy set changes."""

    name: Proposer = "compliance_drift"
    every: timedelta = timedelta(minutes=5)

    def signal(self, parts: RuntimeParts) -> str:
        """Return the policy set's digest: another one is a reason to look now."""
        return controls_of(parts).policy

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return one finding per control and resource that fails, is not waived and is no other worker's."""
        controls = controls_of(parts)
        desired, live = posture_of(await see(parts, environment, PLATFORM), controls, environment, PLATFORM).states
        wanted = {(f.control, f.resource): f for posture in desired.controls for f in posture.findings}
        return tuple(
            self._finding(environment, control, found, wanted.get((found.control, found.resource)))
            for control, posture in zip(controls.controls, live.controls, strict=True)
            if control.found_by == self.name
            for found in posture.findings
            if not found.passed
        )

    def _finding(
        self, environment: EnvironmentId, control: Control, live: ComplianceFinding, wanted: ComplianceFinding | None
    ) -> Finding:
        where, broken = live.resource, live.status == "not_satisfied"
        how = "cannot be judged" if not broken else "is broken"
        whence = "by hand: it shall be otherwise" if wanted is not None and wanted.passed else "and shall be so"
        act = Act(
            kind="compliance.remediate",
            arguments={"control": control.id, "resource": where},
            target=EntityRef.parse(where),
            rationale=f"{control.title}: {where} does not, {whence}.",
            confidence=SURE,
        )
        return Finding(
            owner=self.name,
            kind=KIND,
            tenant=live.tenant or PLATFORM,
            environment=environment,
            resource=where,
            episode=control.id,
            summary=f"{control.id} {how} on {where}" + (f", {whence}" if broken else ""),
            severity="error" if broken else "warning",
            evidence=tuple(f"{fact.path or 'resource'} = {canonical_text(fact.value)}" for fact in live.evidence),
            acts=(act,) if live.remedy else (),
        )
