"""Named instants at which a crash must lose nothing and repeat nothing: each is a parameter of the harness.

`before_commit` points lie inside the transaction (a crash there leaves no trace of the step); the others lie between
two durable steps. Code tells `CrashPoints.reach(point, ...)`; in production that does nothing.
"""

CRASH_POINTS: tuple[tuple[str, str], ...] = (
    ("propose.before_commit", "command written, not committed: the proposal is made again"),
    ("propose.committed", "proposal durable, no decision yet"),
    ("decide.before_commit", "policy has answered, its decision is not committed"),
    ("decide.committed", "decision durable, its event still in the outbox"),
    ("approve.before_commit", "a person's answer written, not committed"),
    ("approve.before_claim", "command approved, nobody has claimed it"),
    ("claim.before_commit", "lease, fencing and reservations written, not committed"),
    ("claim.before_effect", "claim durable, the target has not been called"),
    ("grant.before_commit", "grant signed, its issue not committed"),
    ("runtime.before_commit", "effect and ledger row written in the runtime's store, not committed"),
    ("runtime.committed", "effect durable in the runtime's store, the target has not followed yet"),
    ("effect.before_record", "the target was called, the answer is not recorded: the ambiguous one"),
    ("record.before_commit", "effect written to the store, not committed"),
    ("record.before_verify", "effect recorded, verification not begun"),
    ("verify.before_commit", "start of verification written, not committed"),
    ("verify.during", "verification runs, no verdict yet"),
    ("finish.before_commit", "verdict written, not committed"),
    ("finish.committed", "verdict durable, outcome not yet consumed"),
    ("undo.before_commit", "undo and its child command written, not committed"),
    ("undo.during", "undo begun, its effect not started"),
    ("undo.before_record", "undo's effect done, the parent's end not recorded"),
    ("cancel.before_commit", "cancellation written, not committed"),
    ("supersede.before_commit", "parent superseded and child written, not committed"),
    ("supersede.committed", "child durable, not yet decided"),
    ("expire.before_commit", "expiry written, not committed"),
    ("plan.before_commit", "a plan's step written, not committed: all its commands are as they were"),
    ("plan.committed", "a plan's step durable, what follows from it not begun"),
    ("recover.before_commit", "a dead worker's command taken over, not committed"),
    ("outbox.before_ack", "events handled, not acknowledged: they come again"),
)
"""Name and remark of every point, in the order in which a command meets them."""
POINTS: frozenset[str] = frozenset(name for name, _ in CRASH_POINTS)
