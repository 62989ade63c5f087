"""What the verbs over the API do: build a request, call, render. Verbs that run a world are in `worlds`."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from cli import render
from cli.answers import COMMANDS, Columns, pick
from cli.calls import call
from domain.cards import Card
from domain.command_kinds import CATALOGUE
from domain.errors import Invalid, NotFound

WON, LOST = 0, 3
"""Exit codes of a decision: counted, or somebody was first."""
KINDS = ("person", "service", "agent", "source")


def pairs(words: Sequence[str]) -> dict[str, JsonValue]:
    """Read `--name value` or `--name=value` words as arguments; values are JSON where they parse, else text."""
    found: dict[str, JsonValue] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise Invalid(f"expected --name value, found {word!r}", reason="usage")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise Invalid(f"--{name} needs a value", reason="usage")
            value = rest.pop(0)
        found[name.replace("-", "_")] = _value(value)
    return found


def listing(path: str, columns: Columns, *, tenant: str | None, as_json: bool, state: str | None = None) -> None:
    """Print a list, filtered by tenant."""
    rows = call("GET", path, params={"state": state} if state else {})
    shown = [
        row
        for row in _rows(rows)
        if tenant is None or tenant in {pick(row, f"{at}tenant") for at in ("", "command.", "plan.")} | _touched(row)
    ]
    if as_json:
        render.as_json(shown)
    else:
        render.table(columns, shown)


def _touched(row: JsonValue) -> set[str]:
    """Return the tenants whose part of a shared command a row is."""
    tenants = row.get("tenants") if isinstance(row, dict) else None
    return {str(tenant) for tenant in tenants} if isinstance(tenants, list) else set()


def show(subject: str, *, as_json: bool) -> None:
    """Show a command's card or an incident with its commands."""
    kind, view = _find(subject)
    if as_json:
        render.as_json(view)
    elif kind == "incident":
        _incident(view)
    else:
        render.card(Card.model_validate(_field(view, "card")))


def why(subject: str, *, as_json: bool) -> None:
    """Explain: diagnosis, evidence, policy and verification, in that order."""
    kind, view = _find(subject)
    if kind == "command" and (incident := pick(view, "record.command.incident")):
        case = call("GET", f"/v1/incidents/{incident}")
    else:
        case = view if kind == "incident" else None
    if as_json:
        render.as_json({"command": view if kind != "incident" else None, "incident": case})
        return
    if case is not None:
        _incident(case)
        _diagnosis(case)
    if kind != "incident":
        render.card(Card.model_validate(_field(view, "card")))
    if kind == "command":
        for line in _rows(_field(view, "audit")):
            render.console.print(f"{pick(line, 'at')}  {pick(line, 'action')}  by {pick(line, 'actor')}", markup=False)


def propose(  # the fields of one request
    kind: str,
    arguments: Mapping[str, JsonValue],
    tenant: str,
    environment: str,
    rationale: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Propose a command; its target is the first argument that names one."""
    if kind not in CATALOGUE:
        raise NotFound(f"no such kind: {kind}; there are {', '.join(sorted(CATALOGUE))}", reason="kind_unknown")
    body: JsonValue = {
        "kind": kind, "arguments": dict(arguments), "target": _target(arguments, environment), "tenant": tenant,
        "environment": environment, "rationale": rationale or _reason(arguments),
    }  # fmt: skip
    answer = call("POST", "/v1/commands", body=body, params={"dryRun": "true"} if dry_run else {})
    if as_json:
        render.as_json(answer)
    else:
        render.card(Card.model_validate(_field(answer, "card")))


def decide(verdict: str, subject: str, digest: str | None, note: str, *, as_json: bool, of: str = "commands") -> int:
    """Approve or reject a command or, of `plans`, a plan; exit code 3 when somebody else was first."""
    path = f"/v1/{of}/{subject}"
    body: JsonValue = {"digest": digest or _shown_digest(path, quiet=as_json), "note": note}
    return _told(call("POST", f"{path}/{verdict}", body=body), as_json=as_json)


def show_plan(plan: str, *, as_json: bool) -> None:
    """Show a plan's card."""
    view = call("GET", f"/v1/plans/{plan}")
    if as_json:
        render.as_json(view)
    else:
        render.card(Card.model_validate(_field(view, "card")))


def narrow(command: str, digest: str | None, note: str, arguments: Mapping[str, JsonValue], *, as_json: bool) -> int:
    """Replace a waiting command by a narrower child."""
    if not arguments:
        raise Invalid("nothing changes; name an argument and its new value: --name value", reason="usage")
    held = pick(call("GET", f"/v1/commands/{command}"), "record.digest") if digest is None else digest
    body: JsonValue = {"digest": held, "note": note, "arguments": dict(arguments)}
    return _told(call("POST", f"/v1/commands/{command}/narrow", body=body), as_json=as_json)


def freeze(tenant: str, environment: str, hours: float, reason: str, *, as_json: bool) -> None:
    """Open a freeze window from now."""
    if hours <= 0:
        raise Invalid("--hours must be more than nothing", reason="usage")
    body: JsonValue = {
        "tenant": tenant, "environment": environment, "reason": reason, "duration_s": max(1, round(hours * 3600)),
    }  # fmt: skip
    answer = call("POST", "/v1/freezes", body=body)
    if as_json:
        render.as_json(answer)
    else:
        render.console.print(f"frozen until {pick(answer, 'freeze.end')}; id {pick(answer, 'id')}", markup=False)


def kill(  # the fields of one request
    scope: str, value: str, *, release: bool, stop_undos: bool, reason: str, as_json: bool
) -> None:
    """Engage or release a kill switch and list what is in flight."""
    if release:
        call("DELETE", f"/v1/kill-switches/{scope}/{value}", params={"reason": reason})
        if as_json:
            render.as_json({"released": {"scope": scope, "value": value}})
        else:
            render.console.print(f"released {scope}:{value}", markup=False)
        return
    body: JsonValue = {"scope": scope, "value": value, "reason": reason, "undos_continue": not stop_undos}
    answer = call("POST", "/v1/kill-switches", body=body)
    if as_json:
        render.as_json(answer)
        return
    undos = "stop too" if stop_undos else "continue"
    render.console.print(f"no new effect starts in {scope}:{value}; running undos {undos}", markup=False)
    render.table(replace(COMMANDS, title="In flight"), _rows(_field(answer, "in_flight")))


def schema(name: str | None, out: Path | None) -> int:
    """Print one schema or all names; with a folder, write every schema there."""
    from domain.schema import schemas

    found = schemas()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for key, body in found.items():
            (out / f"{key.replace(':', '.')}.json").write_text(
                json.dumps(body, indent=2, sort_keys=True) + "\n", "utf-8"
            )
        render.console.print(f"{len(found)} schemas in {out}", markup=False)
    elif name is None:
        render.console.print("\n".join(sorted(found)), markup=False)
    elif name in found:
        render.as_json(dict(found[name]))
    else:
        raise NotFound(f"no schema {name}; `opsmesh schema` lists them", reason="schema_unknown")
    return 0


def audit_verify(tenant: str | None, *, as_json: bool) -> int:
    """Verify one tenant's chain, or the platform's and every tenant's with an incident or command; 1 on any flaw."""
    tenants = [tenant] if tenant else _tenants()
    reports = [call("GET", "/v1/audit/verify", params={"tenant": one}) for one in tenants]
    good = all(_field(report, "ok") is True for report in reports)
    if as_json:
        render.as_json({"ok": good, "chains": reports})
        return 0 if good else 1
    for report in reports:
        state = "holds" if _field(report, "ok") is True else "DOES NOT HOLD"
        render.console.print(
            f"{pick(report, 'tenant')}: {state}, {pick(report, 'records')} records, {pick(report, 'unanchored')} after "
            f"the last anchor",
            markup=False,
        )
        for flaw in _rows(_field(report, "flaws")):
            render.console.print(f"  {pick(flaw, 'kind')} at {pick(flaw, 'seq')}: {pick(flaw, 'text')}", markup=False)
    return 0 if good else 1


def principal_add(name: str, kind: str, roles: Sequence[str], *, as_json: bool) -> int:
    """Add an identity; the token is printed once and stored nowhere in the clear."""
    if kind not in KINDS:
        raise Invalid(f"no such kind: {kind}; there are {', '.join(KINDS)}", reason="usage")
    if kind == "source":
        if any(_role(r)["role"] != "ingest" for r in roles):
            raise Invalid("a source only sends events: its role is ingest@TENANT", reason="usage")
        body: JsonValue = {
            "id": name,
            "source": name,
            "tenants": [_role(r)["tenant"] for r in roles],
            "trust": "platform",
        }
        answer = call("POST", "/v1/sources", body=body)
    else:
        grants: list[JsonValue] = [dict(_role(r)) for r in roles]
        answer = call("POST", "/v1/principals", body={"id": name, "kind": kind, "name": name, "grants": grants})
    if as_json:
        render.as_json(answer)
    else:
        render.console.print(f"{pick(answer, 'holder')}\n{pick(answer, 'token')}", markup=False)
        render.console.print("The token is shown this once; it is stored only as a hash.")
    return 0


def _tenants() -> list[str]:
    rows = [*_rows(call("GET", "/v1/incidents")), *_rows(call("GET", "/v1/commands"))]
    return sorted({"platform", *(pick(r, "tenant") or pick(r, "command.tenant") for r in rows)})


def _find(subject: str) -> tuple[str, JsonValue]:
    for kind, path in (("command", "commands"), ("shared", "shared-commands")):
        with suppress(NotFound):
            return kind, call("GET", f"/v1/{path}/{subject}")
    return "incident", call("GET", f"/v1/incidents/{subject}")


def _incident(view: JsonValue) -> None:
    head = _field(view, "incident")
    render.console.print(f"{pick(head, 'id')}  {pick(head, 'status')}  {pick(head, 'title')}", markup=False)
    render.table(COMMANDS, _rows(_field(view, "commands")))


def _diagnosis(view: JsonValue) -> None:
    render.console.print(f"Diagnosis: {pick(view, 'diagnosis.summary')}", markup=False)
    for hypothesis in _rows(_field(_field(view, "diagnosis"), "hypotheses")):
        render.console.print(f"  {pick(hypothesis, 'confidence')}  {pick(hypothesis, 'statement')}", markup=False)
        for sign, side in (("+", "supporting"), ("-", "contradicting")):
            for claim in _rows(_field(hypothesis, side)):
                render.console.print(f"      {sign} {pick(claim, 'text')}", markup=False)


def _shown_digest(path: str, *, quiet: bool) -> str:
    """The digest the server shows now; a person sees the card first."""
    view = call("GET", path)
    if not quiet:
        render.card(Card.model_validate(_field(view, "card")))
    return pick(view, "record.digest")


def _told(answer: JsonValue, *, as_json: bool) -> int:
    won = _field(answer, "won") is True
    if as_json:
        render.as_json(answer)
    else:
        render.console.print(f"{pick(answer, 'state')}: {pick(answer, 'message')}", markup=False)
    return WON if won else LOST


_NAMED = ("service", "node", "node_pool", "tenant", "data_store", "certificate", "secret", "issuer", "pack", "release")
"""Arguments that name what a command is done to; the first that is given does."""


def _target(arguments: Mapping[str, JsonValue], environment: str) -> JsonValue:
    for kind in _NAMED:
        if isinstance(name := arguments.get(kind), str):
            return {"kind": kind, "id": name}
    if isinstance(region := arguments.get("from_region"), str):
        return {"kind": "region", "id": region}
    return {"kind": "environment", "id": environment}


def _reason(arguments: Mapping[str, JsonValue]) -> str:
    """The reason some kinds take as an argument says why as well."""
    reason = arguments.get("reason")
    return reason if isinstance(reason, str) and reason else "proposed by hand"


def _role(text: str) -> dict[str, str]:
    """Read `role@tenant` or `role@tenant/environment`."""
    role, at, place = text.partition("@")
    if not at or not place:
        raise Invalid(f"a role is written role@tenant, found {text!r}", reason="usage")
    tenant, _, environment = place.partition("/")
    return {"role": role, "tenant": tenant} | ({"environment": environment} if environment else {})


def _value(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value


def _field(value: JsonValue, name: str) -> JsonValue:
    return value.get(name) if isinstance(value, dict) else None


def _rows(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
