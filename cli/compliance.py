"""The verb about compliance: the posture of an environment, control by control."""

from urllib.parse import quote

from pydantic import JsonValue

from cli import render
from cli.answers import COMPLIANCE_CONTROLS, COMPLIANCE_FINDINGS
from cli.calls import call
from domain.base import canonical_text
from domain.compliance import ComplianceFinding, CompliancePosture, ControlPosture


def show(environment: str, tenant: str | None, *, oscal: bool, as_json: bool) -> int:
    """Print the posture, or the whole answer as JSON. Exit 1 where a control is not satisfied in what runs."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    params = {"format": "oscal" if oscal else "posture"}
    answer = call("GET", f"/runtime/compliance/{quote(environment, safe='')}", params=params, headers=headers)
    if oscal:
        render.as_json(answer)
        return 0
    posture = CompliancePosture.model_validate(answer)
    desired, live = posture.states
    if as_json:
        render.as_json(answer)
    else:
        render.console.print(
            f"{posture.tenant} in {posture.environment} at {posture.at:%Y-%m-%d %H:%M} UTC, policy {posture.policy}",
            markup=False,
        )
        pairs = zip(desired.controls, live.controls, strict=True)
        render.table(COMPLIANCE_CONTROLS, [_row(wanted, runs) for wanted, runs in pairs])
        standing = [f for c in live.controls for f in c.findings if not f.passed or f.waiver]
        render.table(COMPLIANCE_FINDINGS, [_finding(f) for f in standing])
    return 0 if live.status == "satisfied" else 1


def _row(desired: ControlPosture, live: ControlPosture) -> JsonValue:
    failing = sum(not f.passed for f in live.findings)
    return {
        "control": live.control,
        "desired": desired.status.replace("_", " "),
        "live": live.status.replace("_", " "),
        "failing": f"{failing} of {len(live.findings)}",
        "title": live.title,
    }


def _finding(found: ComplianceFinding) -> JsonValue:
    waived = f"waived until {found.waiver.expires_at:%Y-%m-%d %H:%M} by {found.waiver.by}" if found.waiver else ""
    remedy = "; ".join(f"{'.'.join(p.path[2:])} = {canonical_text(p.value)}" for p in found.remedy)
    return {
        "control": found.control,
        "resource": found.resource,
        "tenant": found.tenant or "-",
        "status": waived or found.status.replace("_", " "),
        "evidence": "; ".join(f"{e.path or 'resource'} = {canonical_text(e.value)}" for e in found.evidence),
        "remedy": remedy or "-",
    }
