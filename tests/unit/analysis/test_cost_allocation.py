"""Splitting a bill: no cent is lost or made, whatever the parts are."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from analysis.cost_allocation import Pools, Share, allocate, whole

amounts = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**6)
owned = st.dictionaries(st.text(max_size=3), amounts, max_size=8)


@given(st.lists(amounts, max_size=12))
def test_rounding_keeps_the_sum_and_moves_nobody_by_a_cent(parts):
    rounded = whole(parts)

    assert sum(rounded) == round(sum(parts, Fraction(0)))
    assert all(abs(one - part) < 1 for one, part in zip(rounded, parts, strict=True))


@given(owned, amounts, amounts, amounts)
def test_every_split_adds_up_to_the_bill(direct, shared, idle, untagged):
    split = allocate(Pools(direct, shared, idle, untagged))

    exact = sum(direct.values(), shared + idle + untagged)
    borne = sum(share.total for share in split.shares)
    assert split.total == round(exact * 100)
    assert borne + split.untagged + split.unsplit_shared + split.unsplit_idle == split.total
    assert sum(share.shared for share in split.shares) + split.unsplit_shared == split.shared
    assert sum(share.idle for share in split.shares) + split.unsplit_idle == split.idle


def test_a_cent_that_three_share_goes_to_one():
    assert whole([Fraction(1, 3)] * 3) == [1, 0, 0]


def test_shared_and_idle_follow_direct_cost_and_credits_bear_nothing():
    direct = {"acme": Fraction(30), "globex": Fraction(10), "refunded": Fraction(-5)}
    split = allocate(Pools(direct, shared=Fraction(8), idle=Fraction(4), untagged=Fraction(1)))

    assert split.shares == (
        Share("acme", 3000, 600, 300),
        Share("globex", 1000, 200, 100),
        Share("refunded", -500, 0, 0),
    )
    assert (split.untagged, split.total) == (100, 4800)


def test_what_nobody_can_bear_is_said():
    split = allocate(Pools({}, shared=Fraction(2), idle=Fraction(1)))

    assert (split.unsplit_shared, split.unsplit_idle, split.total) == (200, 100, 300)
