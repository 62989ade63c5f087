"""`opsmesh subscriptions`: who is sent decisions, outcomes and lessons."""

from typing import Annotated

import typer
from pydantic import JsonValue

from cli import answers, render
from cli.calls import call
from cli.options import JsonFlag

group = typer.Typer(help="Who is sent decisions, outcomes and lessons.", no_args_is_help=True)
OfTenant = Annotated[str, typer.Option("--tenant", help="Tenant whose feedback it is.")]
Name = Annotated[str, typer.Argument(help="Subscription id.")]
PATH = "/v1/subscriptions"


@group.command("list")
def subscriptions_list(*, tenant: OfTenant, as_json: JsonFlag = False) -> None:
    """List subscriptions with how far each has come."""
    render.either(answers.SUBSCRIPTIONS, call("GET", PATH, params={"tenant": tenant}), as_json=as_json)


@group.command("add")
def subscriptions_add(
    url: Annotated[str, typer.Argument(help="https URL; plain http to this machine only.")],
    *,
    tenant: OfTenant,
    form: Annotated[str, typer.Option(help="cloudevents (signed webhook) or otlp (log records).")] = "cloudevents",
    types: Annotated[list[str] | None, typer.Option("--type", help="Beginning of an event type; repeat.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Send a tenant's feedback to a URL, from now on."""
    body: dict[str, JsonValue] = {"tenant": tenant, "url": url, "form": form}
    if types:
        body["types"] = list(types)
    render.either(answers.SUBSCRIPTIONS, [call("POST", PATH, body=body)], as_json=as_json)


@group.command("remove")
def subscriptions_remove(name: Name, *, tenant: OfTenant) -> None:
    """End a subscription."""
    call("DELETE", f"{PATH}/{name}", params={"tenant": tenant})
    render.console.print(f"{name} is sent nothing more", markup=False)


@group.command("replay")
def subscriptions_replay(
    name: Name,
    *,
    tenant: OfTenant,
    after: Annotated[int, typer.Option(min=0, help="Position in the feed; 0 is its beginning.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Deliver again from behind a position; dead letters behind it are tried anew."""
    answer = call("POST", f"{PATH}/{name}/replay", body={"after": after}, params={"tenant": tenant})
    render.either(answers.SUBSCRIPTIONS, [answer], as_json=as_json)


@group.command("dead")
def subscriptions_dead(name: Name, *, tenant: OfTenant, as_json: JsonFlag = False) -> None:
    """List what a subscriber would not take, with the reason."""
    rows = call("GET", f"{PATH}/{name}/dead-letters", params={"tenant": tenant})
    render.either(answers.DEAD_LETTERS, rows, as_json=as_json)


@group.command("key")
def subscriptions_key() -> None:
    """Print the public key that receivers verify deliveries with."""
    render.as_json(call("GET", f"{PATH}/key"))
