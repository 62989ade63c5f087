"""The error tree: one root, four families that a caller treats differently.

    OpsmeshError
    ├── Refused       governance said no, or a precondition no longer holds: do not retry, tell the person why
    │   └── Unauthenticated  no valid credential came with the request
    ├── Unavailable   a part did not answer in time or is gone: retry with backoff
    │   └── OutcomeUnknown   the effect may or may not have happened: ask the target, never retry blindly
    ├── Invalid       the input is wrong: fix it, retrying changes nothing
    │   ├── NotFound
    │   └── Conflict  the thing changed under the caller (If-Match, compare-and-set, same id with another body)
    └── Broken        an invariant of ours does not hold: page a human

A refusal by policy is a Decision, not an exception; `Refused` is raised when a caller goes on without one.
"""


class OpsmeshError(Exception):
    """Root of every error we raise; `reason` is one machine-readable slug, `str()` says what to do."""

    status = 500

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or type(self).__name__.lower()


class Refused(OpsmeshError):
    """Governance or a failed recheck said no."""

    status = 403


class Unauthenticated(Refused):
    """No credential, or one that is unknown, revoked or expired; which of these is never told."""

    status = 401


class Unavailable(OpsmeshError):
    """A part did not answer; the same call may succeed later."""

    status = 503


class OutcomeUnknown(Unavailable):
    """The call may have taken effect; resolve by asking the target under the same idempotency key."""

    status = 504


class Invalid(OpsmeshError):
    """The input cannot be accepted as it is."""

    status = 422


class NotFound(Invalid):
    """No such thing within the caller's scope (also the answer for a thing of another tenant)."""

    status = 404


class Conflict(Invalid):
    """The thing changed under the caller."""

    status = 409


class Broken(OpsmeshError):
    """An invariant of ours does not hold."""

    status = 500
