"""Clocks and ids behind the domain's ports: the system's for servers, a virtual pair for simulation and tests."""

import secrets
from datetime import UTC, datetime, timedelta
from random import Random

from ulid import ULID

from domain.ports import Clock

_RANDOM_BITS = 80
"""A ULID is 48 bits of milliseconds and 80 random bits (ULID specification)."""


class SystemClock:
    """The machine's clock in UTC."""

    def now(self) -> datetime:
        """Return the present instant."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until it is moved; never backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the virtual instant."""
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Advance to an instant; an earlier one is ignored."""
        self._now = max(self._now, instant.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Advance by a step."""
        self.move_to(self._now + step)


class UlidIds:
    """Time-ordered ids, strictly increasing within a process. A seed makes them repeatable."""

    def __init__(self, clock: Clock, *, seed: int | None = None) -> None:
        self._clock = clock
        self._bits = Random(seed).getrandbits if seed is not None else secrets.randbits  # noqa: S311  # a seed is for simulation only
        self._last_ms = -1
        self._last_random = 0

    def ulid(self) -> str:
        """Return a new ULID, greater than every one before it."""
        now_ms = int(self._clock.now().timestamp() * 1000)
        if now_ms > self._last_ms:
            self._last_ms, self._last_random = now_ms, self._bits(_RANDOM_BITS - 1)
        else:
            self._last_random += 1 + self._bits(32)
        return str(ULID.from_int((self._last_ms << _RANDOM_BITS) | self._last_random))


class OsEntropy:
    """Unguessable bytes from the operating system."""

    def token_bytes(self, length: int) -> bytes:
        """Return that many random bytes."""
        return secrets.token_bytes(length)
