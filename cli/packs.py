"""What the verbs of `opsmesh packs` do: ask the runtime, propose through Opsmesh, render."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from cli import render
from cli.answers import PACKS, PACKS_INSTALLED, pick
from cli.calls import call
from domain.errors import Invalid
from domain.packs import PackAnswer, PackCommand, PackPlanAnswer, PacksAnswer

WAITING = 3
"""Exit code where the rest waits for the canary."""
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
    arguments: Mapping[str, JsonValue], canary: str, others: Sequence[str], environment: str, *, as_json: bool
) -> int:
    """Upgrade one tenant, and the others once its command has succeeded; call it again to go on. Exit 3 while waiting.

    Raises Invalid where the canary's command ended otherwise.
    """
    if not arguments.get("version"):
        raise Invalid("name the version: several tenants get the same one", reason="usage")
    rows = call("GET", "/v1/commands")
    now = standing(rows if isinstance(rows, list) else [], arguments, canary, environment)
    if now in _OVER:
        raise Invalid(f"the canary's upgrade ended as {now}: the others stay as they are", reason="canary_failed")
    due = [canary] if now is None else [t for t in others if now == "SUCCEEDED"]
    known = rows if isinstance(rows, list) else []
    started = [t for t in due if t == canary or standing(known, arguments, t, environment) is None]
    views: list[JsonValue] = [_propose("pack.upgrade", arguments, tenant, environment) for tenant in started]
    if as_json:
        render.as_json({"canary": canary, "state": now, "proposed": list[JsonValue](started), "commands": views})
    else:
        render.console.print(f"canary {canary}: {now or 'proposed'}; proposed now: {', '.join(started) or 'none'}")
    return 0 if now == "SUCCEEDED" else WAITING


def standing(
    rows: Sequence[JsonValue], arguments: Mapping[str, JsonValue], tenant: str, environment: str
) -> str | None:
    """Return the state of a tenant's newest command for exactly this upgrade, None where there is none."""
    wanted = (tenant, environment, "pack.upgrade", str(arguments["pack"]), str(arguments["version"]))
    fields = ("tenant", "environment", "kind", "arguments.pack", "arguments.version")
    for row in rows:
        if tuple(pick(row, f"command.{field}") for field in fields) == wanted:
            return pick(row, "state")
    return None


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
