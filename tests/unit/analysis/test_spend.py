"""Spending judged: a quantity against its season, what everybody does at once excused, price and quantity apart."""

import numpy as np
import pytest

from analysis.spend import judge, parts
from domain.errors import Invalid

STEP_S = 300
DAY = 288


def days(count, series=6, swing=0.4):
    """Replicas that follow a day's curve in whole steps, each series on its own scale."""
    at = np.arange(count * DAY) / DAY
    level = 1.0 + swing * np.sin(2 * np.pi * at)
    return np.ceil(np.arange(4, 4 + series)[:, None] * level)


def test_a_day_like_the_days_before_is_usual():
    quantity = days(3)
    for end in range(2 * DAY, 3 * DAY, 24):
        assert (judge(quantity[:, :end], np.ones(6), STEP_S).since == -1).all()


def test_one_series_that_rises_is_told_with_where_it_began():
    quantity = days(3)
    quantity[2, -4:] += 4.0
    judged = judge(quantity, np.ones(6), STEP_S)
    assert judged.since.tolist() == [-1, -1, 3 * DAY - 4, -1, -1, -1]
    assert judged.now[2] - judged.usual[2] == pytest.approx(4.0, abs=1.0)


def test_what_lasts_less_than_ten_minutes_is_a_rolling_update():
    quantity = days(3)
    quantity[2, -1:] += 10.0
    assert (judge(quantity, np.ones(6), STEP_S).since == -1).all()


def test_what_everybody_rises_by_is_a_monday():
    quantity = days(3)
    quantity[:, 2 * DAY :] *= 1.33
    assert (judge(quantity, np.ones(6), STEP_S).since == -1).all()


def test_one_replica_more_is_never_an_excess():
    quantity = days(3)
    quantity[0, -10:] += 1.0
    assert judge(quantity, np.ones(6), STEP_S).since[0] == -1


def test_after_a_week_the_same_hour_of_last_week_counts():
    quantity = days(16)
    weekend = (np.arange(16 * DAY) // DAY % 7) >= 5
    quantity[1, weekend] = np.ceil(quantity[1, weekend] * 0.3)
    end = 14 * DAY + DAY // 2
    assert judge(quantity[:, :end], np.ones(6), STEP_S).since[1] == -1
    weekday_size_on_a_weekend = 12 * DAY + DAY // 2
    quantity[1, weekday_size_on_a_weekend - 6 : weekday_size_on_a_weekend] = 9.0
    assert judge(quantity[:, :weekday_size_on_a_weekend], np.ones(6), STEP_S).since[1] >= 0


def test_nothing_is_said_of_the_first_hours():
    quantity = np.concatenate([np.ones((1, 30)), np.full((1, 4), 50.0)], axis=1)
    assert judge(quantity, np.ones(1), STEP_S).since[0] == -1
    quantity = np.concatenate([np.ones((1, 60)), np.full((1, 4), 50.0)], axis=1)
    assert judge(quantity, np.ones(1), STEP_S).since[0] == 60


def test_gaps_are_refused():
    with pytest.raises(Invalid):
        judge(np.array([[1.0, np.nan]]), np.ones(1), STEP_S)


def test_price_and_quantity_add_up_to_the_excess():
    split = parts(usual=10.0, now=14.0, price_before=2.0, price_now=3.0)
    assert (split.price, split.quantity, split.total) == (14.0, 8.0, 14.0 * 3.0 - 10.0 * 2.0)
    assert parts(10.0, 10.0, 2.0, 3.0).quantity == 0.0
    assert parts(10.0, 14.0, 2.0, 2.0).price == 0.0
