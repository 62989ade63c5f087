"""`opsmesh certificates`: what is served and when it ends; proposals to replace it."""

from typing import Annotated

import typer
from pydantic import JsonValue

from cli import answers, render, verbs
from cli.calls import call
from cli.options import JsonFlag
from domain.trust import CertificatesAnswer

group = typer.Typer(help="Certificates and secrets: what is served, what is due.", no_args_is_help=True)
Environment = Annotated[str, typer.Argument(help="Environment.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Tenant whose part is shown.")]
Why = Annotated[str, typer.Option(help="Why: it stands on the card.")]


@group.command("list")
def certificates_list(environment: Environment, *, tenant: OfTenant = None, as_json: JsonFlag = False) -> None:
    """List certificates by a handshake, and secrets by a login, made now."""
    headers = {"Opsmesh-Tenant": tenant} if tenant else {}
    answer = call("GET", f"/runtime/certificates/{environment}", headers=headers)
    if as_json:
        render.as_json(answer)
        return
    told = CertificatesAnswer.model_validate(answer)
    rows: list[JsonValue] = [
        {**one.model_dump(mode="json"), "verdict": ", ".join(one.wrong) or "ok"} for one in told.certificates
    ]
    render.table(answers.CERTIFICATES, rows)
    secrets: list[JsonValue] = [
        {**one.model_dump(mode="json"), "verdict": "let in" if one.accepted else "refused"} for one in told.secrets
    ]
    render.table(answers.SECRETS, secrets)


@group.command("rotate")
def certificates_rotate(
    name: Annotated[str, typer.Argument(help="Certificate, or with --secret a secret.")],
    *,
    environment: Annotated[str, typer.Option(help="Environment.")],
    tenant: Annotated[str, typer.Option(help="Tenant whose it is.")],
    secret: Annotated[bool, typer.Option("--secret", help="It is a secret.")] = False,
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Propose a new certificate or secret: taken into use, proven, and only then the old one ends."""
    what = "secret" if secret else "certificate"
    verbs.propose(f"{what}.rotate", {what: name}, tenant, environment, why, dry_run=False, as_json=as_json)


@group.command("reissue")
def certificates_reissue(
    *,
    issuer: Annotated[str, typer.Option(help="Issuer that is no longer to be trusted.")],
    environment: Annotated[str, typer.Option(help="Environment.")],
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Propose to distrust an issuer; once approved, what it signed is replaced in waves, one plan per tenant."""
    verbs.propose("issuer.distrust", {"issuer": issuer}, "platform", environment, why, dry_run=False, as_json=as_json)
