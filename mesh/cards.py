"""Builds the one card that every surface renders: what is wrong, what is proposed, why, what it does, how it is undone.

Text from telemetry stays text: a card holds plain strings, and each surface escapes them.
"""

from collections.abc import Iterator, Sequence

from domain.cards import Card, CardAction, CardFact, CardSection
from domain.changes import ResourceChange
from domain.commands import Command, CommandRecord, FieldUndo, Prediction, Quantity, State
from domain.decisions import Decision
from domain.evidence import Diagnosis
from domain.outcomes import Check, Verification
from domain.plans import PlanRecord, PlanState

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
    plan: str | None = None,
) -> Card:
    """Return the card of one command; one that belongs to a plan is answered there."""
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
    if plan is not None:
        sections.append(CardSection(title="Part of", lines=(f"plan {plan}: opsmesh plans show {plan}",)))
    waiting = record.state is State.AWAITING_APPROVAL and plan is None
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


def plan_card(record: PlanRecord, decisions: Sequence[Decision | None]) -> Card:
    """Return the card of a change plan: its commands in order, what policy said, and how it is taken back."""
    plan, members = record.plan, [member.command for member in record.members]
    stays = [i for i in range(len(members)) if i not in plan.compensate_in]
    undo = [f"{i + 1}. {_member_line(members[i])}" for i in plan.compensate_in]
    undo += [f"stays: {i + 1}. {_member_line(members[i])}" for i in stays]
    said = [f"{n}. {d.effect}: {'; '.join(d.reasons)}" for n, d in enumerate(decisions, start=1) if d is not None]
    until = min((d.ask.expires_at for d in decisions if d is not None and d.ask is not None), default=None)
    clocks = [CardFact(label="runs between", value=f"{plan.window_start:%F %T} and {plan.window_end:%F %T} UTC")]
    if until is not None:
        clocks.append(CardFact(label="answer by", value=f"{until:%F %T} UTC"))
    verbs = (("approve", "Approve all"), ("reject", "Reject all"))
    waiting = record.standing is PlanState.AWAITING_APPROVAL
    return Card(
        title=f"plan of {len(members)} commands in {plan.tenant}/{plan.environment}",
        severity="error",
        state=record.standing,
        summary=record.reason or f"proposed by {plan.proposer}",
        sections=(
            CardSection(title="Why", lines=tuple(line for line in record.rationale.splitlines() if line)),
            CardSection(title="In order", lines=tuple(_numbered(record))),
            CardSection(title="If one ends otherwise", lines=tuple(undo)),
            CardSection(title="Policy says", lines=tuple(said)),
            CardSection(title="Clocks", facts=tuple(clocks)),
        ),
        preview=tuple(change for command in members for change in command.preview),
        actions=tuple(
            CardAction.model_validate(
                {"verb": verb, "label": label, "command": plan.id, "digest": record.digest, "of": "plan"}
            )
            for verb, label in verbs
            if waiting
        ),
        expires_at=plan.window_end,
    )


def _numbered(record: PlanRecord) -> Iterator[str]:
    for number, member in enumerate(record.members, start=1):
        yield f"{number}. {_member_line(member.command)}: {member.state}"
        yield from (f"   {change_line(change)}" for change in member.command.preview)


def _member_line(command: Command) -> str:
    return f"{command.kind} on {command.target.address}"


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
        return tuple(undo_line(field) for field in command.inverse.fields)
    return (f"{command.spec.reversibility}: {command.inverse.note or 'nothing lasting to take back'}",)


def undo_line(field: FieldUndo) -> str:
    """Return one line per field that is taken back."""
    return f"{'.'.join(field.path)}: back to {_plain(field.restore)}"


def check_line(check: Check) -> str:
    """Return one line per check of a verification."""
    return f"{'ok ' if check.ok else 'NOT' if check.ok is False else '?  '} {check.entity} {check.metric}: {check.text}"


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
    lines = [check_line(check) for check in checks[:8]]
    return CardSection(title=f"Verification: {verification.verdict}", lines=(verification.reason, *lines))


def _cited(evidence: Sequence[str]) -> str:
    return ", ".join(evidence[:3])


def _plain(value: object) -> str:
    return "nothing" if value is None else str(value)
