"""`opsmesh plans`: several changes decided as one."""

from typing import Annotated

import typer

from cli import answers, plans, verbs
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


@group.command("propose")
def plans_propose(
    file: Annotated[str, typer.Argument(help="JSON or YAML of a plan; - for standard input.")],
    *,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same again proposes nothing new.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and decide, record nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Propose several commands as one plan."""
    plans.propose(file, key=key, dry_run=dry_run, as_json=as_json)


@group.command("approve")
def plans_approve(plan: Plan, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Approve all commands of exactly this plan. Exit 3 when somebody else was first."""
    raise typer.Exit(verbs.decide("approve", plan, digest, note, as_json=as_json, of="plans"))


@group.command("reject")
def plans_reject(plan: Plan, *, digest: Digest = None, note: Note = "", as_json: JsonFlag = False) -> None:
    """Reject the plan: none of its commands starts. Exit 3 when somebody else was first."""
    raise typer.Exit(verbs.decide("reject", plan, digest, note, as_json=as_json, of="plans"))
