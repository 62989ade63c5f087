"""Evidence closure: every cited item exists, precedes the claim, and supports it by a check that recomputes it."""

from collections.abc import Mapping
from datetime import timedelta

from agents.sre.claims import check
from domain.commands import CommandRecord
from domain.evidence import Claim, EvidencePack
from evals.episodes.played import Played
from evals.episodes.record import Grade
from evals.graders.base import share

INSTANT = timedelta(seconds=1)
"""How long an instant is as a window: what happened in the very second of the claim precedes it."""


def evidence(played: Played) -> Mapping[str, Grade]:
    """Return the share of claims behind proposals that their evidence closes; a command without is open."""
    journal, records = played.simulated.mesh.journal, {r.command.id: r for r in played.ours()}
    closed = total = 0
    orphans = set(records)
    for tenant, run in played.runs():
        pack = journal.pack(tenant, run.id) if run.proposals else None
        if pack is None or run.diagnosis is None:
            continue
        claims = run.diagnosis.hypotheses[0].supporting if run.diagnosis.hypotheses else ()
        for record in [records[c] for c in run.proposals if c in records]:
            good = [_closed(claim, pack, record) for claim in claims] or [run.diagnosis.verdict != "cause_found"]
            cites = bool(record.command.evidence) and all(pack.item(e) is not None for e in record.command.evidence)
            closed += sum(good) + cites
            total += len(good) + 1
            orphans.discard(record.command.id)
    return {"evidence_closure": share(closed, total + len(orphans), "claims and citations closed")}


def _closed(claim: Claim, pack: EvidencePack, record: CommandRecord) -> bool:
    items = [pack.item(cited) for cited in claim.evidence]
    precede = all(item is not None and item.window.end <= record.command.proposed_at + INSTANT for item in items)
    return bool(items) and precede and check(claim, pack)
