"""What the verbs of `opsmesh packs` do: ask the runtime, propose through Opsmesh, render."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from cli import render
from cli.answers import PACKS, PACKS_INSTALLED, pick
from cli.calls import call
from domain.errors import Invalid
from domain.ids import PLATFORM
from domain.packs import PackAnswer, PackCommand, PackPlanAnswer, PacksAnswer, RolloutAnswer
from domain.runtime_api import PreviewAnswer

WAITING = 3
"""Exit code while a rollout is under way or waits for approval."""
_OVER = frozenset({"DENIED", "REJECTED", "EXPIRED", "LAPSED", "CANCELLED", "SUPERSEDED", "FAILED", "INCONCLUSIVE",
                   "UNDONE", "UNDO_FAILED", "REGRESSED", "UNDOING"})  # fmt: skip


def shelf(tenant: str, *, as_json: bool) -> None:
    """Print what is on the shelf for a tenant, and what it has installed."""
    answer = call("GET", "/runtime/packs", headers={"Opsmesh-Tenant": tenant})
    if as_json:
        render.as_json(answer)
        return
    found = PacksAnswer.model_validate(answer)
    render.table(PACKS, [one.model_dump(mode="json") for one in found.packs])
    render.table(PACKS_INSTALLED, [one.model_dump(mode="json") for one in found.installed])


def show(pack: str, tenant: str, *, as_json: bool) -> None:
    """Print one pack: what it is, its parameters, its page."""
    answer = call("GET", f"/runtime/packs/{pack}", headers={"Opsmesh-Tenant": tenant})
    if as_json:
        render.as_json(answer)
        return
    found = PackAnswer.model_validate(answer)
    render.console.print(
        f"{found.name} {found.version} ({found.kind}) by {found.publisher}\n{found.digest}", markup=False
    )
    properties = found.parameters_schema.get("properties")
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        render.console.print(f"  --{name}  {pick(schema, 'description')} [{pick(schema, 'default')}]", markup=False)
    render.console.print(found.readme, markup=False)


def change(  # the fields of one request
    kind: PackCommand,
    arguments: Mapping[str, JsonValue],
    tenant: str,
    environment: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show what the change would do; without `dry_run` also propose it the governed way."""
    plan = call(
        "POST", f"/runtime/environments/{environment}/packs/plan", body={"kind": kind, "arguments": dict(arguments)},
        headers={"Opsmesh-Tenant": tenant},
    )  # fmt: skip
    view = None if dry_run else _propose(kind, arguments, tenant, environment)
    if as_json:
        render.as_json({"plan": plan, "command": view})
        return
    for line in told(PackPlanAnswer.model_validate(plan)):
        render.console.print(line, markup=False)
    if view is not None:
        render.console.print(
            f"proposed as {pick(view, 'record.command.id')}: {pick(view, 'record.state')}", markup=False
        )


def upgrade_by_canary(  # the fields of one request
    arguments: Mapping[str, JsonValue], canary: str, others: Sequence[str], environment: str,
    *, bake_s: int, dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """Propose one rollout that the server runs, or show how the one that was proposed goes: call it again to see.

    Exit 0 when everybody who was not held has it, 1 when it was taken back or ended otherwise, 3 until then.
    """
    if not arguments.get("version") or arguments.get("parameters"):
        raise Invalid("several tenants get the same version, named, each with its own parameters", reason="usage")
    wanted: dict[str, JsonValue] = {
        "pack": arguments["pack"], "version": arguments["version"],
        "tenants": list[JsonValue]([canary, *others]), "bake_s": bake_s,
    }  # fmt: skip
    if dry_run:
        _previewed(wanted, environment, as_json=as_json)
        return 0
    state = standing(call("GET", "/v1/commands"), wanted, environment)
    if state is None:
        state = pick(_propose("pack.upgrade", wanted, PLATFORM, environment), "record.state")
    found = _rollout(wanted, environment)
    if as_json:
        rollout = None if found is None else found.model_dump(mode="json")
        render.as_json({"state": state, "rollout": rollout})
    else:
        for line in shown(found, state):
            render.console.print(line, markup=False)
    if found is not None and found.phase != "running":
        return 0 if found.phase == "done" else 1
    return 1 if state in _OVER else WAITING


def standing(rows: JsonValue, wanted: Mapping[str, JsonValue], environment: str) -> str | None:
    """Return the state of the newest command for exactly this rollout, None where there is none."""
    fields = ("environment", "kind", "arguments.pack", "arguments.version", "arguments.tenants")
    sought = (environment, "pack.upgrade", wanted["pack"], wanted["version"], str(wanted["tenants"]))
    for row in rows if isinstance(rows, list) else []:
        if tuple(pick(row, f"command.{field}") for field in fields) == sought:
            return pick(row, "state")
    return None


def shown(rollout: RolloutAnswer | None, state: str) -> list[str]:
    """Return a rollout as lines."""
    if rollout is None:
        return [f"command: {state}; nothing has begun"]
    lines = [f"{rollout.pack} {rollout.version}: {rollout.phase} {rollout.detail}".rstrip()]
    return lines + [f"  {p.tenant}: {p.phase}, had {p.former or 'none'}. {p.detail}".rstrip() for p in rollout.parts]


def _rollout(wanted: Mapping[str, JsonValue], environment: str) -> RolloutAnswer | None:
    """The newest rollout of this version from this canary."""
    answer = call(
        "GET", f"/runtime/environments/{environment}/packs/rollouts", headers={"Opsmesh-Tenant": PLATFORM}
    )  # fmt: skip
    for row in answer if isinstance(answer, list) else []:
        found = RolloutAnswer.model_validate(row)
        sought = (wanted["pack"], wanted["version"], wanted["tenants"])
        if (found.pack, found.version, [part.tenant for part in found.parts]) == sought:
            return found
    return None


def _previewed(wanted: Mapping[str, JsonValue], environment: str, *, as_json: bool) -> None:
    body: JsonValue = {"kind": "pack.upgrade", "arguments": dict(wanted)}
    answer = call(
        "POST", f"/runtime/environments/{environment}/operations?dryRun=true", body=body,
        headers={"Opsmesh-Tenant": PLATFORM},
    )  # fmt: skip
    if as_json:
        render.as_json(answer)
        return
    for c in PreviewAnswer.model_validate(answer).changes:
        render.console.print(f"  {c.operation} {c.address} {c.path}: {c.before} -> {c.after}", markup=False)


def told(plan: PackPlanAnswer) -> list[str]:
    """Return a plan as lines."""
    impact = plan.impact
    before, after = impact.cost_usd_per_hour_before, impact.cost_usd_per_hour_after
    lines = [f"  {c.operation} {c.address} {c.path}: {c.before} -> {c.after}" for c in plan.changes if c.path]
    lines += [f"  writes over {'.'.join(field.path)}: {field.before}" for field in plan.overrides]
    lines += [f"  stays as somebody changed it: {field}" for field in plan.kept]
    lines.append(
        f"  USD per hour, floor to cap: {before.low:.2f} to {before.high:.2f} becomes "
        f"{after.low:.2f} to {after.high:.2f}"
    )
    was, will = impact.carbon_g_per_hour_before, impact.carbon_g_per_hour_after
    if was is not None and will is not None:
        lines.append(f"  gCO2e per hour: {was.low:.0f} to {was.high:.0f} becomes {will.low:.0f} to {will.high:.0f}")
    return lines


def _propose(kind: PackCommand, arguments: Mapping[str, JsonValue], tenant: str, environment: str) -> JsonValue:
    body: JsonValue = {
        "kind": kind, "arguments": dict(arguments), "target": {"kind": "pack", "id": str(arguments["pack"])},
        "tenant": tenant, "environment": environment, "rationale": "proposed by hand",
    }  # fmt: skip
    return call("POST", "/v1/commands", body=body)
