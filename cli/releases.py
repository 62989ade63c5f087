"""What the verbs of `opsmesh release` do: ask the runtime, propose through Opsmesh, render."""

from pydantic import JsonValue

from cli import render, verbs
from cli.answers import RELEASES
from cli.calls import call
from domain.releases import ServiceTraffic, TrafficAnswer


def show(environment: str, tenant: str | None, *, as_json: bool) -> None:
    """Print every service that has, or had, a release."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    answer = call("GET", f"/runtime/traffic-policies/{environment}", headers=headers)
    if as_json:
        render.as_json(answer)
        return
    told = TrafficAnswer.model_validate(answer)
    render.table(RELEASES, [_row(service) for service in told.services if service.release is not None])


def want(kind: str, service: str, tenant: str, environment: str, rationale: str | None, *, as_json: bool) -> None:
    """Propose what is wanted of a release."""
    why = rationale or f"{kind} of {service}"
    verbs.propose(kind, {"service": service}, tenant, environment, why, dry_run=False, as_json=as_json)


def _row(service: ServiceTraffic) -> JsonValue:
    release = service.release
    if release is None:
        return {}
    look = release.history[-1] if release.history else None
    return {
        "service": service.service,
        "versions": f"{release.former} -> {release.plan.candidate}",
        "phase": release.phase,
        "step": release.step + 1,
        "written": f"{0.0 if release.written is None else release.written.share:.0%}",
        "observed": "" if look is None else f"{look.share_observed:.1%}",
        "looks": release.looks,
        "judge": "" if look is None else look.action,
        "detail": release.detail,
    }
