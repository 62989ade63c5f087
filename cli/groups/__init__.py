"""Groups of verbs, one file each: `opsmesh GROUP VERB`. A new group is one file and one line here."""

import typer

from cli.groups import (
    audit,
    backup,
    carbon,
    certificates,
    chaos,
    compliance,
    cost,
    evals,
    index,
    packs,
    plans,
    principal,
    release,
    replay,
    status,
    subscriptions,
)

GROUPS: tuple[tuple[str, typer.Typer], ...] = (
    ("audit", audit.group),
    ("backup", backup.group),
    ("carbon", carbon.group),
    ("certificates", certificates.group),
    ("chaos", chaos.group),
    ("compliance", compliance.group),
    ("cost", cost.group),
    ("evals", evals.group),
    ("index", index.group),
    ("packs", packs.group),
    ("plans", plans.group),
    ("principal", principal.group),
    ("release", release.group),
    ("replay", replay.group),
    ("status", status.group),
    ("subscriptions", subscriptions.group),
)
