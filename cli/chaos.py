"""The verbs about experiments: which there are, what they do, run one, stop all, what happened."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from cli import render
from cli.answers import EXPERIMENTS, JOURNAL, pick
from cli.calls import call
from domain.errors import NotFound

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def listed(tenant: str, environment: str, *, as_json: bool) -> None:
    """Print the tenant's experiments, and the names of those that ship."""
    from mesh.experiments import shipped_names

    rows = call("GET", "/runtime/experiments", params={"environment": environment}, headers=_for(tenant))
    if as_json:
        render.as_json({"experiments": rows, "shipped": list[JsonValue](shipped_names())})
        return
    render.table(EXPERIMENTS, rows if isinstance(rows, list) else [])
    render.console.print(f"ship with the product: {', '.join(shipped_names())}", markup=False)


def show(name: str, tenant: str, environment: str, *, as_json: bool) -> None:
    """Print one experiment: a stored one, else one that ships."""
    from mesh.experiments import shipped_document

    try:
        answer = call("GET", f"/runtime/experiments/{name}", params={"environment": environment}, headers=_for(tenant))
    except NotFound:
        shipped: dict[str, JsonValue] = {"document": shipped_document(name, {})}
        answer = shipped
    document = answer["document"] if isinstance(answer, dict) else answer
    render.as_json(answer if as_json else document)


def run(
    name: str, tenant: str, environment: str, configuration: Mapping[str, str], *, dry_run: bool, as_json: bool
) -> None:
    """Store a file, or an experiment that ships, under its name; then propose to run it."""
    document = _document(name, configuration)
    name = Path(name).stem
    if document is not None:
        body: JsonValue = {"environment": environment, "id": name, "experiment": document}
        call("POST", "/runtime/experiments", body=body, headers=_for(tenant))
    asked: JsonValue = {
        "kind": "chaos.run", "arguments": {"experiment": name}, "target": {"kind": "experiment", "id": name},
        "tenant": tenant, "environment": environment, "rationale": "run by hand",
    }  # fmt: skip
    answer = call("POST", "/v1/commands", body=asked, params={"dryRun": "true"} if dry_run else {})
    if as_json:
        render.as_json(answer)
    else:
        state = pick(answer, "record.state")
        render.console.print(f"{name}: {pick(answer, 'record.command.id')} {state}", markup=False)


def stop(tenant: str, environment: str, reason: str, *, lift: bool, as_json: bool) -> int:
    """Stop experiments and take every fault back, or allow them again. Exit 1 where a fault is still there."""
    body: JsonValue = {"environment": environment, "engaged": not lift, "reason": reason}
    answer = call("POST", "/runtime/chaos-stops", body=body, headers=_for(tenant))
    left = answer.get("left") if isinstance(answer, dict) else None
    if as_json:
        render.as_json(answer)
    else:
        render.console.print("experiments may run again" if lift else "experiments are stopped", markup=False)
        for one in left if isinstance(left, list) else ():
            render.console.print(f"  still there: {pick(one, 'target')}: {pick(one, 'error')}", markup=False)
    return 1 if left else 0


def journal(name: str, tenant: str, environment: str, run: str | None, *, as_json: bool) -> None:
    """Print what happened in a run, the newest where none is named; JSON is the Chaos Toolkit's journal."""
    params = {"environment": environment} | ({} if run is None else {"run": run})
    answer = call("GET", f"/runtime/experiments/{name}/journal", params=params, headers=_for(tenant))
    if as_json or not isinstance(answer, dict):
        render.as_json(answer)
        return
    render.console.print(
        f"{name}: {answer['status']}{', deviated' if answer['deviated'] else ''} {answer.get('detail', '')}",
        markup=False,
    )
    rows = answer.get("run")
    render.table(JOURNAL, rows if isinstance(rows, list) else [])


def consent(file: Path, tenant: str, environment: str, *, as_json: bool) -> None:
    """Replace what the tenant agrees to by what a file says."""
    body: JsonValue = {"environment": environment, "consent": _JSON.validate_json(file.read_bytes())}
    answer = call("PUT", "/runtime/chaos-consents", body=body, headers=_for(tenant))
    if as_json:
        render.as_json(answer)
    else:
        render.console.print(f"{tenant} agrees to: {pick(answer, 'consent.faults')}", markup=False)


def _document(name: str, configuration: Mapping[str, str]) -> JsonValue:
    """Read a file or an experiment that ships; None where the name is of one that is stored."""
    from mesh.experiments import shipped_document, shipped_names

    file = Path(name)
    if file.suffix == ".json":
        if not file.is_file():
            raise NotFound(f"no such file: {name}")
        return _JSON.validate_json(file.read_bytes())
    return shipped_document(name, configuration) if name in shipped_names() else None


def _for(tenant: str) -> dict[str, str]:
    return {"Opsmesh-Tenant": tenant}
