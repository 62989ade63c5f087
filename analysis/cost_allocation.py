"""Who bears which part of a bill, in whole cents that add up to the bill.

Direct cost goes to whom it is labelled with. Shared and idle cost are split in proportion to direct cost, each in a
column of its own. What carries no label stays untagged: a guess would hide it. Rounding happens once, by largest
remainder, so no cent is lost or made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

CENTS = 100
"""Hundredths of the currency unit; a currency without a hundredth is still stated in them."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Exact cost in currency units before the split. Credits are negative."""

    direct: Mapping[str, Fraction]
    shared: Fraction = Fraction(0)
    idle: Fraction = Fraction(0)
    untagged: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner bears, in cents."""

    owner: str
    direct: int
    shared: int
    idle: int

    @property
    def total(self) -> int:
        return self.direct + self.shared + self.idle


@dataclass(frozen=True, slots=True)
class Allocation:
    """A bill in cents: `total` is the sum of the shares' totals, `untagged`, `unsplit_shared` and `unsplit_idle`."""

    shares: tuple[Share, ...]
    shared: int
    idle: int
    untagged: int
    unsplit_shared: int
    unsplit_idle: int
    total: int


def whole(amounts: Sequence[Fraction]) -> list[int]:
    """Round so that the sum is the rounded exact sum: largest remainder (Hamilton), ties to the earlier entry.

    Every entry is off by less than one; the sum is rounded half to even.
    """
    rounded = [floor(amount) for amount in amounts]
    missing = round(sum(amounts, Fraction(0))) - sum(rounded)
    by_remainder = sorted(range(len(amounts)), key=lambda at: (rounded[at] - amounts[at], at))
    for at in by_remainder[:missing]:
        rounded[at] += 1
    return rounded


def allocate(pools: Pools) -> Allocation:
    """Split a bill; owners with no cost of their own, or only credits, bear nothing of what is split."""
    owners = sorted(pools.direct)
    exact = [*(pools.direct[owner] for owner in owners), pools.shared, pools.idle, pools.untagged]
    *direct, shared, idle, untagged = whole([amount * CENTS for amount in exact])
    weights = [max(pools.direct[owner], Fraction(0)) for owner in owners]
    split_shared, split_idle = apportion(shared, weights), apportion(idle, weights)
    return Allocation(
        tuple(Share(*row) for row in zip(owners, direct, split_shared, split_idle, strict=True)),
        shared,
        idle,
        untagged,
        shared - sum(split_shared),
        idle - sum(split_idle),
        sum(direct) + shared + idle + untagged,
    )


def apportion(cents: int, weights: Sequence[Fraction]) -> list[int]:
    """Return each weight's part of the cents, in whole cents that add up; zeros where there is nobody to bear them."""
    whole_weight = sum(weights, Fraction(0))
    return whole([cents * weight / whole_weight for weight in weights]) if whole_weight else [0] * len(weights)
