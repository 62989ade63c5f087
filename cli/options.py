"""Options that several verbs take, each written once."""

from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Command = Annotated[str, typer.Argument(help="Command id.")]
Digest = Annotated[str | None, typer.Option(help="Digest you saw; default is the one the server shows now.")]
Note = Annotated[str, typer.Option(help="Why, for the audit.")]
Case = Annotated[str | None, typer.Option(help="Only this case, such as train/issue_3 or 2023-01-30/4.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.")]
Suite = Annotated[str, typer.Option(help="all, faults, quiet, special or ci.")]
Seed = Annotated[int, typer.Option(help="First seed; 0 to 9 are for tuning, report from 100 up.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds.")]
ROLES = (
    "role@tenant or role@tenant/environment; may be repeated. Roles: viewer, proposer, approver, operator, auditor, "
    "admin; for a source ingest."
)
