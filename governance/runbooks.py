"""What a paged person should do about a command, filled in with its own facts."""

from domain.commands import CommandRecord, State

_FIRST = {
    State.UNKNOWN: (
        "Nobody knows whether the effect happened: do not send it again.",
        "Ask the target for the operation under idempotency key {key}; record what it says.",
    ),
    State.FAILED: (
        "The effect failed; parts of it may hold. Compare {target} with the preview of command {id}.",
        "Take back what was written, by the undo below, or by hand where it no longer applies.",
    ),
    State.INCONCLUSIVE: (
        "The signals of {target} went quiet during verification: the effect stands, its result is unseen.",
        "Restore the telemetry first, then judge {target}; undo the command when it is worse than before.",
    ),
    State.UNDO_FAILED: (
        "The undo of command {id} did not complete; {target} holds a mixture. Nothing more happens by itself.",
        "Freeze {environment} of tenant {tenant}, then restore the fields below by hand.",
    ),
}


def runbook(record: CommandRecord) -> str:
    """Return the steps for a command in a state that pages, one a line; empty for any other state."""
    command = record.command
    facts = {
        "id": command.id,
        "key": command.idempotency_key,
        "target": command.target.address,
        "tenant": command.tenant,
        "environment": command.environment,
    }
    steps = [line.format(**facts) for line in _FIRST.get(record.state, ())]
    if steps:
        steps += [
            f"Undo: set {'.'.join(field.path)} back to {field.restore!r}, if it still is {field.written!r}."
            for field in command.inverse.fields
        ]
        steps.append(f"Then close the page with a note on command {command.id}.")
    return "\n".join(f"{number}. {line}" for number, line in enumerate(steps, start=1))
