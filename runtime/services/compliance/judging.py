"""Judge an estate control by control; what a changed control does not touch is not judged again."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from domain.base import digest_of
from domain.compliance import ComplianceFinding, ComplianceStatus, ControlPosture, StatePosture, TenantPosture, Waiver
from runtime.services.compliance.controls import CONTROLS, Control
from runtime.services.compliance.estate import Estate, Parameters
from runtime.services.compliance.rules import worst


def judge(
    estate: Estate,
    *,
    controls: Sequence[Control] = CONTROLS,
    wanted: Parameters | None = None,
    waivers: Sequence[Waiver] = (),
    known: Sequence[ControlPosture] = (),
) -> tuple[ControlPosture, ...]:
    """Return the posture of each control. `known` are postures of the same estate and waivers at the same instant.

    A known posture whose digest still holds is kept as it is, so a change of one control costs that control alone.
    """
    parameters = wanted or Parameters()
    kept = {p.digest: p for p in known}
    standing = {(w.control, w.resource): w for w in waivers if w.expires_at > estate.at}
    found: list[ControlPosture] = []
    for control in controls:
        digest = control.digest(parameters)
        if digest in kept:
            found.append(kept[digest])
            continue
        findings = tuple(_finding(control, estate, n, parameters, standing) for n in estate.resources(control.kind))
        found.append(
            ControlPosture(
                control=control.id, title=control.title, kind=control.kind, digest=digest, findings=findings,
                status=_status(findings),
            )
        )  # fmt: skip
    return tuple(found)


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
        status=worst(c.status for c in controls),
        tenants=tuple(_tenant(by_tenant[tenant]) for tenant in sorted(by_tenant)),
        controls=controls,
    )


def _finding(
    control: Control,
    estate: Estate,
    name: str,
    wanted: Parameters,
    waivers: dict[tuple[str, str], Waiver],
) -> ComplianceFinding:
    address = f"{control.kind}/{name}"
    status, evidence = ("unknown", ()) if address in estate.unsettled else control.rule(estate, name, wanted)
    return ComplianceFinding(
        control=control.id,
        resource=address,
        tenant=estate.owner(control.kind, name),
        status=status,
        evidence=evidence,
        waiver=waivers.get((control.id, address)) if status == "not_satisfied" else None,
    )


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
