"""`opsmesh packs`: signed packs of blueprints, policies and add-ons."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import JsonValue

from cli import packs, render, verbs
from cli.answers import PACK_KEYS
from cli.options import JsonFlag

group = typer.Typer(help="Signed packs: blueprints, policies, add-ons.", no_args_is_help=True)
Pack = Annotated[str, typer.Argument(help="Name of the pack.")]
OfTenant = Annotated[str, typer.Option("--tenant", help="Tenant.")]
Environment = Annotated[str, typer.Option(help="Environment.")]
Version = Annotated[str | None, typer.Option(help="Version; the newest that can be used without it.")]
Preview = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, propose nothing.")]
FREE = {"allow_extra_args": True, "ignore_unknown_options": True}
Kind = Literal["topology_blueprint", "scaling_policy", "health_drift_policy", "add_on"]


def _arguments(pack: str, version: str | None, words: list[str]) -> dict[str, JsonValue]:
    """Parameters follow as --name value."""
    return {"pack": pack, "version": version, "parameters": verbs.pairs(words)}


@group.command("list")
def packs_list(*, tenant: OfTenant, as_json: JsonFlag = False) -> None:
    """List packs as the tenant may use them, and those it has installed."""
    packs.shelf(tenant, as_json=as_json)


@group.command("show")
def packs_show(pack: Pack, *, tenant: OfTenant, as_json: JsonFlag = False) -> None:
    """Show a pack: its parameters and its page."""
    packs.show(pack, tenant, as_json=as_json)


@group.command("verify")
def packs_verify(
    pack: Annotated[str, typer.Argument(help="Folder, .zip archive, or a name on the shelf.")],
    *,
    tenant: OfTenant,
    as_json: JsonFlag = False,
) -> None:
    """Check a pack as it would be before it is installed, and run its own tests. Exit 1 when they fail."""
    from mesh.marketplace import verify
    from mesh.settings import read_settings

    found = verify(read_settings(), pack, tenant)
    if as_json:
        render.as_json(found.model_dump(mode="json"))
    else:
        render.console.print(f"{found.name} {found.version} by {found.publisher}: {found.digest}", markup=False)
        for line in found.failures or ("its tests pass",):
            render.console.print(f"  {line}", markup=False)
    raise typer.Exit(1 if found.failures else 0)


@group.command("install", context_settings=FREE)
def packs_install(
    context: typer.Context,
    pack: Pack,
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    version: Version = None,
    dry_run: Preview = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what installing would do and propose it. Parameters follow as --name value."""
    arguments = _arguments(pack, version, context.args)
    packs.change("pack.install", arguments, tenant, environment, dry_run=dry_run, as_json=as_json)


@group.command("upgrade", context_settings=FREE)
def packs_upgrade(
    context: typer.Context,
    pack: Pack,
    *,
    tenant: Annotated[list[str], typer.Option(help="Tenant; of several the first is the canary.")],
    environment: Environment = "prod",
    version: Version = None,
    bake: Annotated[int, typer.Option(help="Seconds each of several tenants is watched before the next.")] = 900,
    dry_run: Preview = False,
    as_json: JsonFlag = False,
) -> None:
    """Upgrade. Of several tenants the first is the canary of one rollout; call again to see how it goes (exit 3)."""
    arguments = _arguments(pack, version, context.args)
    if len(tenant) == 1:
        packs.change("pack.upgrade", arguments, tenant[0], environment, dry_run=dry_run, as_json=as_json)
    else:
        raise typer.Exit(
            packs.upgrade_by_canary(
                arguments, tenant[0], tenant[1:], environment, bake_s=bake, dry_run=dry_run, as_json=as_json
            )
        )


@group.command("uninstall")
def packs_uninstall(
    pack: Pack,
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    dry_run: Preview = False,
    as_json: JsonFlag = False,
) -> None:
    """Give back every field the pack still holds, and propose to take it off."""
    packs.change("pack.uninstall", {"pack": pack}, tenant, environment, dry_run=dry_run, as_json=as_json)


@group.command("new")
def packs_new(
    name: Pack,
    *,
    kind: Annotated[Kind, typer.Option(help="What it is.")],
    out: Annotated[Path | None, typer.Option(help="Folder; the name without it.")] = None,
) -> None:
    """Begin a pack: a source folder that does one thing, says so, and tests it."""
    from mesh.marketplace import new

    new(name, kind, out or Path(name))
    render.console.print(f"{out or name}: edit its files, then `opsmesh packs publish`", markup=False)


@group.command("publish")
def packs_publish(
    source: Annotated[Path, typer.Argument(help="Source folder.")],
    *,
    key: Annotated[Path, typer.Option(help="The publisher's private Ed25519 key, PEM.")],
    out: Annotated[Path | None, typer.Option(help="Folder or .zip; this runtime's own shelf without it.")] = None,
) -> None:
    """Run a pack's tests and sign it."""
    from mesh.marketplace import publish
    from mesh.settings import read_settings

    name, version, where = publish(read_settings(), source, key, out)
    render.console.print(f"{name} {version} signed: {where}", markup=False)


@group.command("trust")
def packs_trust(
    key: Annotated[str | None, typer.Argument(help="Public key file (PEM); with --revoke its id or publisher.")] = None,
    *,
    tenant: OfTenant,
    name: Annotated[str, typer.Option(help="What the publisher is called here.")] = "publisher",
    revoke: Annotated[bool, typer.Option("--revoke", help="Never trust this key again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trust a publisher's key for one tenant, revoke one for good, or without a key list them."""
    from mesh import marketplace
    from mesh.settings import read_settings

    settings = read_settings()
    if key is None:
        found = marketplace.trusted(settings, tenant)
    elif revoke:
        found = marketplace.revoke(settings, tenant, key)
    else:
        found = marketplace.trust(settings, tenant, Path(key), name)
    render.either(PACK_KEYS, [one.model_dump(mode="json") for one in found], as_json=as_json)
