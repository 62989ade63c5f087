"""The verbs of `opsmesh`: each parses, calls the server (or a locked local store) and renders.

Groups of verbs lie in `cli.groups`, one file each.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import answers, render, verbs, worlds
from cli.calls import call
from cli.groups import GROUPS
from cli.options import Command, Digest, JsonFlag, Note, Tenant

app = typer.Typer(
    help="Autonomous operations you can trust: detect, ground, propose, decide, act, verify, learn.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for name, group in GROUPS:
    app.add_typer(group, name=name)


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help="Fault to inject; `list` names them all.")] = "deploy_latency",
    *,
    auto: Annotated[
        bool, typer.Option("--auto", help="Autonomy `act`: nobody is asked; what policy would ask about waits.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 7,
    controls: Annotated[bool, typer.Option(help="Also run execution off and wrong target.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Watch one incident from fault to verified recovery, in a simulated world."""
    raise typer.Exit(worlds.demo(fault, auto=auto, seed=seed, controls=controls, as_json=as_json))


@app.command()
def up(
    *,
    port: Annotated[int | None, typer.Option(help="Port on loopback; 8765 without it or OPSMESH_PORT.")] = None,
    speed: Annotated[float, typer.Option(help="Virtual seconds per second in the embedded world.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of the embedded world.")] = 7,
    fault: Annotated[str | None, typer.Option(help="Let this fault happen five minutes in, to try things out.")] = None,
) -> None:
    """Start the server with its loop and the embedded runtime."""
    raise typer.Exit(worlds.up(port=port, speed=speed, seed=seed, fault=fault))


@app.command()
def ingest(
    source: Annotated[
        str, typer.Argument(help="A file of CloudEvents as JSON lines, their source `file`; - for standard input.")
    ],
    *,
    tenant: Annotated[str, typer.Option(help="Tenant the events belong to.")],
    as_json: JsonFlag = False,
) -> None:
    """Take events from a file while no server runs; refused lines go to quarantine with the reason."""
    raise typer.Exit(worlds.ingest(source, tenant=tenant, as_json=as_json))


@app.command()
def incidents(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """List incidents, newest first."""
    verbs.listing("/v1/incidents", answers.INCIDENTS, tenant=tenant, as_json=as_json)


@app.command()
def show(subject: Annotated[str, typer.Argument(help="Incident or command id.")], *, as_json: JsonFlag = False) -> None:
    """Show an incident or a command as one card."""
    verbs.show(subject, as_json=as_json)


@app.command()
def why(subject: Annotated[str, typer.Argument(help="Incident or command id.")], *, as_json: JsonFlag = False) -> None:
    """Explain: evidence, competing hypotheses, policy reasons, what was checked afterwards."""
    verbs.why(subject, as_json=as_json)


@app.command()
def findings(
    environment: Annotated[str, typer.Argument(help="Environment, such as prod.")],
    *,
    status: Annotated[Literal["open", "resolved"] | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, those seen last.")] = 100,
    tenant: Tenant = None,
    as_json: JsonFlag = False,
) -> None:
    """List what the workers found, with the commands that followed."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    params = {"limit": str(limit)} | ({"status": status} if status else {})
    rows = call("GET", f"/runtime/findings/{environment}", params=params, headers=headers)
    render.either(answers.FINDINGS, rows, as_json=as_json)
    if not as_json and isinstance(rows, list) and len(rows) == limit:
        render.console.print(f"These are the {limit} seen last; --limit shows more.")


@app.command()
def trace(
    subject: Annotated[str, typer.Argument(help="Trace id, or the id of an incident, a command or a finding.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Follow one trace: the event that began it, worker or agent, decision, tool call, verification, outcome."""
    view = call("GET", f"/v1/traces/{subject}")
    lines = view["lines"] if isinstance(view, dict) and not as_json else view
    render.either(answers.TRACE, lines, as_json=as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def propose(  # the options of one verb
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Command kind, such as service.restart.")],
    *,
    tenant: Annotated[str, typer.Option(help="Tenant.")],
    environment: Annotated[str, typer.Option(help="Environment.")] = "prod",
    rationale: Annotated[str | None, typer.Option(help="Why; the argument `reason` without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Preview only.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Propose a command the governed way. Arguments follow as --name value, as in `opsmesh schema command:KIND`."""
    arguments = verbs.pairs(context.args)
    verbs.propose(kind, arguments, tenant, environment, rationale, dry_run=dry_run, as_json=as_json)


@app.command()
def approvals(*, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """List commands that wait for a person."""
    verbs.listing("/v1/commands", answers.COMMANDS, tenant=tenant, as_json=as_json, state="AWAITING_APPROVAL")


@app.command()
def commands(
    *,
    tenant: Tenant = None,
    state: str | None = None,
    shared: Annotated[bool, typer.Option("--shared", help="The platform's that touch you: your part of them.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List commands, newest first."""
    path, columns = ("/v1/shared-commands", answers.SHARED) if shared else ("/v1/commands", answers.COMMANDS)
    verbs.listing(path, columns, tenant=tenant, as_json=as_json, state=state)


@app.command()
def approve(command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Approve exactly the digest shown."""
    raise typer.Exit(verbs.decide("approve", command, digest, note, as_json=as_json))


@app.command()
def reject(command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Reject a waiting command."""
    raise typer.Exit(verbs.decide("reject", command, digest, note, as_json=as_json))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def narrow(
    context: typer.Context, command: Command, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False
) -> None:
    """Replace a waiting command by a narrower one: changed arguments follow as --name value."""
    raise typer.Exit(verbs.narrow(command, digest, note, verbs.pairs(context.args), as_json=as_json))


@app.command()
def freeze(
    tenant: str,
    *,
    hours: Annotated[float, typer.Option(help="How long.")] = 1.0,
    environment: str = "*",
    reason: Annotated[str, typer.Option(help="Why.")] = "change freeze",
    as_json: JsonFlag = False,
) -> None:
    """Stop unattended changes of a tenant for a while."""
    verbs.freeze(tenant, environment, hours, reason, as_json=as_json)


@app.command()
def kill(  # the options of one verb
    scope: Annotated[str, typer.Argument(help="global, tenant, agent, kind or command.")] = "global",
    value: Annotated[str, typer.Argument(help="Which one; * for all.")] = "*",
    *,
    release: Annotated[bool, typer.Option("--release", help="Let effects start again.")] = False,
    stop_undos: Annotated[bool, typer.Option("--stop-undos", help="Running undos stop too.")] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "stopped by hand",
    as_json: JsonFlag = False,
) -> None:
    """Stop new effects at once and list what is in flight."""
    verbs.kill(scope, value, release=release, stop_undos=stop_undos, reason=reason, as_json=as_json)


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(help="One schema; all names without it.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Write every schema into this folder.")] = None,
) -> None:
    """Print or export the published JSON Schemas."""
    raise typer.Exit(verbs.schema(name, out))


@app.command()
def doctor(*, as_json: JsonFlag = False) -> None:
    """Say what is configured, what answers, and what is not built yet."""
    raise typer.Exit(worlds.doctor(as_json=as_json))


def run() -> None:
    """Entry point: errors become one clear line and an exit code, never a traceback."""
    from domain.errors import OpsmeshError

    try:
        app()
    except OpsmeshError as error:
        sys.stderr.write(f"opsmesh: {render.plain(str(error))}\n")
        sys.exit(2 if error.status < 500 else 1)
