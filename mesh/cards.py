"""Builds the one card that every surface renders: what is wrong, what is proposed, why, what it does, how it is undone.

Text from telemetry stays text: a card holds plain strings, and each surface escapes them.
"""

from collections.abc import Sequence

from domain.cards import Card, CardAction, CardFact, CardSection
from domain.changes import ResourceChange
from domain.commands import CommandRecord, Prediction, Quantity, State
from domain.decisions import Decision
from domain.evidence import Diagnosis
from domain.outcomes import Verification

_QUANTITIES: tuple[tuple[str, str, str], ...] = (
    ("slo_attainment", "SLO attainment", "+.2%"),
    ("latency_p95_ms", "p95 latency, ms", "+,.0f"),
    ("error_rate", "error rate", "+.2%"),
    ("cost_usd_per_hour", "cost, USD per hour", "+,.2f"),
    ("carbon_g_per_hour", "carbon, g per hour", "+,.0f"),
)


def command_card(
    record: CommandRecord,
    *,
    diagnosis: Diagnosis | None = None,
    decision: Decision | None = None,
    verification: Verification | None = None,
) -> Card:
    """Return the card of one command."""
    command = record.command
    sections = [CardSection(title="Why", lines=tuple(line for line in command.rationale.splitlines() if line))]
    if diagnosis is not None and diagnosis.hypotheses:
        sections.append(hypotheses_section(diagnosis))
    sections.append(CardSection(title="Would change", lines=tuple(change_line(c) for c in command.preview)))
    sections.append(CardSection(title="Undo", lines=undo_lines(record)))
    if command.prediction is not None:
        sections.append(prediction_section(command.prediction))
    if decision is not None:
        sections.append(CardSection(title=f"Policy says {decision.effect}", lines=decision.reasons))
    if verification is not None:
        sections.append(verification_section(verification))
    waiting = record.state is State.AWAITING_APPROVAL
    verbs: tuple[tuple[str, str], ...] = (
        (("approve", "Approve"), ("reject", "Reject"), ("narrow", "Narrow")) if waiting else ()
    )
    return Card(
        title=f"{command.kind} on {command.target.address}",
        severity="warning" if command.spec.risk == "low" else "error",
        state=record.state,
        summary=record.reason or f"proposed by {command.proposer}",
        sections=tuple(sections),
        preview=command.preview,
        prediction=command.prediction,
        actions=tuple(
            CardAction.model_validate({"verb": verb, "label": label, "command": command.id, "digest": record.digest})
            for verb, label in verbs
        ),
        expires_at=command.expires_at,
    )


def change_line(change: ResourceChange) -> str:
    """Return one line per changed field; secrets stay masked."""
    if change.operation == "run":
        return f"{change.address}: {change.path or 'run'}"
    before, after = ("•••", "•••") if change.secret else (_plain(change.before), _plain(change.after))
    return f"{change.address} {change.path}: {before} -> {'known after the effect' if change.unknown else after}"


def undo_lines(record: CommandRecord) -> tuple[str, ...]:
    """Say how the command is taken back, or that there is nothing to take back."""
    command = record.command
    if command.inverse.fields:
        return tuple(f"{'.'.join(f.path)}: back to {_plain(f.restore)}" for f in command.inverse.fields)
    return (f"{command.spec.reversibility}: {command.inverse.note or 'nothing lasting to take back'}",)


def prediction_section(prediction: Prediction) -> CardSection:
    """Show the twin's prediction, or that it does not know."""
    minutes = prediction.horizon_s // 60
    if not prediction.known:
        return CardSection(title=f"Prediction over {minutes} min: unknown", lines=(prediction.note,))
    facts: list[CardFact] = []
    for field, label, form in _QUANTITIES:
        quantity: Quantity | None = getattr(prediction, field)
        if quantity is not None:
            span = f"{format(quantity.low, form)} to {format(quantity.high, form)}"
            facts.append(CardFact(label=label, value=f"{format(quantity.value, form)} ({span})"))
    return CardSection(title=f"Prediction over {minutes} min, against doing nothing", facts=tuple(facts))


def hypotheses_section(diagnosis: Diagnosis) -> CardSection:
    """Show the competing hypotheses with what speaks for and against each."""
    lines: list[str] = []
    for rank, hypothesis in enumerate(diagnosis.hypotheses[:3], start=1):
        lines.append(f"{rank}. {hypothesis.statement} (confidence {hypothesis.confidence:.0%})")
        lines += [f"   + {claim.text} [{_cited(claim.evidence)}]" for claim in hypothesis.supporting[:3]]
        lines += [f"   - {claim.text} [{_cited(claim.evidence)}]" for claim in hypothesis.contradicting[:2]]
    return CardSection(title="Hypotheses", lines=tuple(lines))


def verification_section(verification: Verification) -> CardSection:
    """Show the verdict and the checks behind it, the failing ones first."""
    checks = sorted(verification.checks, key=lambda c: (c.ok is True, c.entity))
    lines = [
        f"{'ok ' if c.ok else 'NOT' if c.ok is False else '?  '} {c.entity} {c.metric}: {c.text}" for c in checks[:8]
    ]
    return CardSection(title=f"Verification: {verification.verdict}", lines=(verification.reason, *lines))


def _cited(evidence: Sequence[str]) -> str:
    return ", ".join(evidence[:3])


def _plain(value: object) -> str:
    return "nothing" if value is None else str(value)
