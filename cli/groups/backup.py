"""`opsmesh backup`: restore points of a tenant, and restores from them."""

import time
from typing import Annotated

import typer
from pydantic import JsonValue

from cli import answers, render
from cli.answers import pick
from cli.calls import call
from cli.options import JsonFlag
from cli.progress import ProgressBar

group = typer.Typer(help="Restore points of a tenant, and restores from them.", no_args_is_help=True)
OfTenant = Annotated[str, typer.Option("--tenant", help="Tenant whose data it is.")]
Environment = Annotated[str, typer.Option(help="Environment.")]
Point = Annotated[str, typer.Argument(help="Restore point id.")]
To = Annotated[str | None, typer.Option(help="An instant after the point's cut, ISO 8601.")]
LOOK_S = 1.0
"""Between two looks at an operation."""


@group.command("list")
def backup_list(*, tenant: OfTenant, environment: Environment = "prod", as_json: JsonFlag = False) -> None:
    """List restore points, newest first, each with what its trial found."""
    rows = call("GET", "/runtime/restore-points", params={"environment": environment}, headers=_of(tenant))
    render.either(answers.RESTORE_POINTS, rows, as_json=as_json)


@group.command("take")
def backup_take(
    *,
    tenant: OfTenant,
    region: Annotated[str | None, typer.Option(help="Where it shall lie.")] = None,
    environment: Environment = "prod",
    as_json: JsonFlag = False,
) -> None:
    """Ask for a restore point over all the tenant's data stores."""
    body: dict[str, JsonValue] = {"tenant": tenant, "environment": environment, "region": region}
    render.either(
        answers.PROPOSED, [call("POST", "/runtime/restore-points", body=body, headers=_of(tenant))], as_json=as_json
    )


@group.command("drill")
def backup_drill(
    point: Point, *, tenant: OfTenant, to: To = None, environment: Environment = "prod", as_json: JsonFlag = False
) -> None:
    """Ask for a trial restore: into copies that are compared row by row and thrown away."""
    _restore(point, tenant, to, environment, drill=True, as_json=as_json)


@group.command("restore")
def backup_restore(
    point: Point, *, tenant: OfTenant, to: To = None, environment: Environment = "prod", as_json: JsonFlag = False
) -> None:
    """Ask for a restore in place; it takes back what the tenant wrote since, and two people decide."""
    _restore(point, tenant, to, environment, drill=False, as_json=as_json)


@group.command("follow")
def backup_follow(
    operation: Annotated[str, typer.Argument(help="Operation id, as the command's receipt names it.")],
    *,
    tenant: OfTenant,
    environment: Environment = "prod",
    as_json: JsonFlag = False,
) -> None:
    """Show how far a backup or restore has come, until it ends. Exit 1 unless it is done."""
    path = f"/runtime/environments/{environment}/operations/{operation}"
    with ProgressBar(100, quiet=as_json, title=operation) as bar:
        while True:
            record = call("GET", path, headers=_of(tenant))
            status = pick(record, "progress.status")
            bar(round(float(pick(record, "progress.fraction") or 0) * 100), status)
            if status not in {"accepted", "running"}:
                break
            time.sleep(LOOK_S)
    render.either(answers.OPERATIONS, [record], as_json=as_json)
    raise typer.Exit(0 if status == "done" else 1)


def _restore(point: str, tenant: str, to: str | None, environment: str, *, drill: bool, as_json: bool) -> None:
    body: dict[str, JsonValue] = {
        "restore_point": point, "tenant": tenant, "to": to, "environment": environment, "drill": drill,
    }  # fmt: skip
    answer = call("POST", "/runtime/restores", body=body, headers=_of(tenant))
    render.either(answers.PROPOSED, [answer], as_json=as_json)


def _of(tenant: str) -> dict[str, str]:
    return {"Opsmesh-Tenant": tenant}
