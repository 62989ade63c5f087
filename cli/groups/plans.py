"""`opsmesh plans`: several changes decided as one."""

from typing import Annotated

import typer

from cli import answers, verbs
from cli.options import Digest, JsonFlag, Note, Tenant

group = typer.Typer(help="Change plans: several commands, decided as one.", no_args_is_help=True)
Plan = Annotated[str, typer.Argument(help="Plan id.")]


@group.command("list")
def plans_list(*, tenant: Tenant = None, state: str | None = None, as_json: JsonFlag = False) -> None:
    """List plans, newest first."""
    verbs.listing("/v1/plans", answers.PLANS, tenant=tenant, as_json=as_json, state=state)


@group.command("show")
def plans_show(plan: Plan, *, as_json: JsonFlag = False) -> None:
    """Show a plan: its commands in order, what policy says, how it is taken back."""
    verbs.show_plan(plan, as_json=as_json)


@group.command("approve")
def plans_approve(plan: Plan, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Approve all commands of exactly this plan. Exit 3 when somebody else was first."""
    raise typer.Exit(verbs.decide("approve", plan, digest, note, as_json=as_json, of="plans"))


@group.command("reject")
def plans_reject(plan: Plan, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Reject the plan: none of its commands starts. Exit 3 when somebody else was first."""
    raise typer.Exit(verbs.decide("reject", plan, digest, note, as_json=as_json, of="plans"))
