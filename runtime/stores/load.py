"""The tenants' applications: commits drawn from the seed, the same for every way of asking how far time has come.

Each tenant commits at its own pace: accounts are opened, money is moved between accounts of any two of its stores,
addresses change, and now and then somebody asks to be forgotten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from runtime.simulator.queueing import Floats
from runtime.simulator.streams import stream
from runtime.stores.commits import Leg

MEAN_S = 60.0
"""Seconds between two commits of a tenant: 1,440 a day, enough to be torn and few enough to be lived through."""
FIRST_ACCOUNTS = 8
OPENS_EVERY, CHANGES_EVERY, FORGETS_EVERY = 25, 40, 200
"""Commits between two new accounts, two changed addresses, two erasures."""
_BLOCK = 256
"""Draws made at once."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit that has no place in the global order yet."""

    tenant: str
    at_s: float
    legs: tuple[Leg, ...]


def drafts(seed: int, tenant: str, stores: Sequence[str], after_s: float, until_s: float) -> Iterator[Draft]:
    """Yield a tenant's commits in (after_s, until_s], oldest first; none without a store."""
    if not stores:
        return
    for number in range(max(int(after_s // MEAN_S), 0), int(until_s // MEAN_S) + 1):
        draws = _draws(seed, tenant, number // _BLOCK)[number % _BLOCK]
        at_s = round((number + float(draws[0])) * MEAN_S, 3)  # instants keep microseconds
        if after_s < at_s <= until_s:
            yield Draft(tenant, at_s, _legs(number, draws, stores))


@lru_cache(maxsize=64)
def _draws(seed: int, tenant: str, block: int) -> Floats:
    """(256, 6) uniform draws: when, payer, payee, payer's store, payee's store, amount."""
    return np.asarray(stream(seed, f"stores/{tenant}", block).uniform(size=(_BLOCK, 6)), dtype=np.float64)


def _legs(number: int, draws: Floats, stores: Sequence[str]) -> tuple[Leg, ...]:
    accounts = min(number, FIRST_ACCOUNTS) + max(number - 1, 0) // OPENS_EVERY
    cents = 100 + int(draws[5] * 99_900)
    one, other = (f"s{int(draws[k] * accounts)}" for k in (1, 2))
    if number < FIRST_ACCOUNTS or number % OPENS_EVERY == 0:
        subject = f"s{accounts}"
        email = f"{subject}@example.net"
        return tuple(
            Leg(store=s, verb="open", account=subject, subject=subject, cents=cents, email="" if k else email)
            for k, s in enumerate(stores)
        )
    if number % FORGETS_EVERY == FORGETS_EVERY - 1:
        return tuple(Leg(store=s, verb="erase", subject=one) for s in stores)
    if number % CHANGES_EVERY == CHANGES_EVERY - 1:
        return (Leg(store=stores[0], verb="profile", subject=one, email=f"{one}.{number}@example.net"),)
    payer, payee = (stores[int(draws[k] * len(stores))] for k in (3, 4))
    return (
        Leg(store=payer, verb="move", account=one, cents=-cents, transfer=f"t{number}-out"),
        Leg(store=payee, verb="move", account=other, cents=cents, transfer=f"t{number}-in"),
    )
