"""Judge an estate control by control. What neither the control nor the resource changed is not judged again."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analysis.compliance.controls import RULE_OF
from analysis.compliance.estate import Estate
from analysis.compliance.readings import reading_digest
from analysis.compliance.verdicts import worst
from domain.base import Digest, digest_of
from domain.compliance import (
    ComplianceFinding,
    ComplianceStatus,
    Control,
    ControlPosture,
    StatePosture,
    TenantPosture,
    Waiver,
)

Standing = Mapping[tuple[str, str], Waiver]
"""Waivers that hold, by control and resource."""


@dataclass(slots=True)
class Memory:
    """Findings by the digests of what they rest on: control with its demands, and resource. Anybody may share it."""

    limit: int = 1_000_000
    """Findings kept, some 300 bytes each: about twenty environments of 4,000 resources."""
    known: dict[tuple[Digest, bytes], ComplianceFinding] = field(
        default_factory=dict[tuple[Digest, bytes], ComplianceFinding]
    )
    judged: int = 0
    """Verdicts that had to be worked out."""

    def make_room(self, wanted: int) -> None:
        """Forget the oldest findings where that many new ones would not fit."""
        over = len(self.known) + wanted - self.limit
        for key in list(self.known)[: max(over, 0)]:
            del self.known[key]


def judge(
    estate: Estate,
    controls: Iterable[Control],
    *,
    waivers: Sequence[Waiver] = (),
    memory: Memory | None = None,
    only: Collection[str] | None = None,
) -> tuple[ControlPosture, ...]:
    """Return the posture of each control over all its resources, or over those whose addresses are in `only`."""
    memory = Memory() if memory is None else memory
    digests: dict[str, bytes] = {}
    found: list[ControlPosture] = []
    for control in controls:
        addresses = [(f"{control.kind}/{name}", name) for name in estate.resources(control.kind)]
        named = [(address, name) for address, name in addresses if only is None or address in only]
        for address, name in named:
            if address not in digests:
                digests[address] = reading_digest(estate, control.kind, name)
        found.append(_posture(control, estate, named, digests, memory, standing(waivers, estate)))
    return tuple(found)


def standing(waivers: Iterable[Waiver], estate: Estate) -> Standing:
    """Return the waivers that hold at the estate's instant. A waiver holds for its tenant's own resource only."""
    return {
        (w.control, w.resource): w
        for w in waivers
        if w.expires_at > estate.at and w.tenant == _owner(estate, *w.resource.split("/", 1))
    }


def state_posture(
    scope: Literal["desired", "live"], estate: Estate, controls: tuple[ControlPosture, ...]
) -> StatePosture:
    """Return the postures of controls summed up by tenant and as a whole."""
    by_tenant: dict[str, list[ComplianceFinding]] = {}
    for control in controls:
        for finding in control.findings:
            by_tenant.setdefault(finding.tenant or "", []).append(finding)
    return StatePosture(
        scope=scope,
        state=digest_of(estate.state),
        status=worst(c.status for c in controls if c.findings),
        tenants=tuple(_tenant(by_tenant[tenant]) for tenant in sorted(by_tenant)),
        controls=controls,
    )


def _posture(  # what one control's verdicts depend on
    control: Control,
    estate: Estate,
    named: Sequence[tuple[str, str]],
    digests: Mapping[str, bytes],
    memory: Memory,
    waived: Standing,
) -> ControlPosture:
    digest = control.digest
    memory.make_room(len(named))
    findings: list[ComplianceFinding] = []
    for address, name in named:
        key = (digest, digests[address])
        finding = memory.known.get(key)
        if finding is None:
            finding = memory.known[key] = _finding(control, estate, address, name)
            memory.judged += 1
        waiver = waived.get((control.id, address)) if finding.status == "not_satisfied" else None
        findings.append(finding if waiver is None else finding.model_copy(update={"waiver": waiver}))
    return ControlPosture(
        control=control.id, title=control.title, kind=control.kind, digest=digest, findings=tuple(findings),
        status=_status(findings) if findings else "satisfied",
    )  # fmt: skip


def _finding(control: Control, estate: Estate, address: str, name: str) -> ComplianceFinding:
    owner = estate.owner(control.kind, name)
    demand = control.demand_of(estate.isolation(owner))
    rule = RULE_OF[control.rule]
    status, evidence = ("unknown", ()) if address in estate.unsettled else rule(estate, name, demand)
    return ComplianceFinding(control=control.id, resource=address, tenant=owner, status=status, evidence=evidence)


def _owner(estate: Estate, kind: str, name: str = "") -> str | None:
    match kind:
        case "tenant":
            return name
        case "service" | "data_store":
            return estate.owner(kind, name)
        case "certificate" if name in estate.certificates:
            return estate.owner(kind, name)
        case _:
            return None


def _status(findings: Sequence[ComplianceFinding]) -> ComplianceStatus:
    return worst("satisfied" if f.passed else f.status for f in findings)


def _tenant(findings: Sequence[ComplianceFinding]) -> TenantPosture:
    counts = Counter("waived" if f.waiver else f.status for f in findings)
    return TenantPosture(
        tenant=findings[0].tenant,
        status=_status(findings),
        satisfied=counts["satisfied"],
        not_satisfied=counts["not_satisfied"],
        unknown=counts["unknown"],
        waived=counts["waived"],
    )
