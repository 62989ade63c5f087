"""The NAB score against examples computed by hand from its published formula."""

from math import exp

import numpy as np
import pytest

from evals.datasets.nab_scoring import LOW_FN, LOW_FP, STANDARD, Tally, Window, probation, tally, total

ROWS = 1000
WINDOW = Window(500, 599)
"""A hundred rows; the first 150 rows are probation."""


def alarms(*rows: int, of: int = ROWS) -> np.ndarray:
    found = np.zeros(of, dtype=np.bool_)
    found[list(rows)] = True
    return found


def value(position: float) -> float:
    """The score function as printed in the paper, written once more."""
    return 2 * (1 / (1 + exp(5 * position))) - 1


def test_silence_is_0_and_every_first_row_alone_is_100():
    windows = [WINDOW, Window(800, 899)]
    for profile in (STANDARD, LOW_FP, LOW_FN):
        assert tally(alarms(), windows).score(profile) == 0
        assert tally(alarms(500, 800), windows).score(profile) == pytest.approx(100)


@pytest.mark.parametrize(("row", "position"), [(500, -1.0), (525, -0.75), (550, -0.5), (599, -0.01)])
def test_an_alarm_in_a_window_is_worth_what_its_place_says(row: int, position: float):
    seen = tally(alarms(row), [WINDOW])
    assert seen.earned == pytest.approx(value(position) / value(-1.0))
    assert seen.score() == pytest.approx(100 * (seen.earned + 1) / 2)


def test_of_several_alarms_in_a_window_the_first_counts_alone():
    assert tally(alarms(520, 521, 570), [WINDOW]) == tally(alarms(520), [WINDOW])


@pytest.mark.parametrize(
    ("row", "cost"), [(400, -1.0), (600, value(1 / 99)), (609, value(10 / 99)), (698, value(1.0)), (999, -1.0)]
)
def test_a_false_alarm_costs_little_behind_a_window_and_all_far_from_it(row: int, cost: float):
    seen = tally(alarms(row), [WINDOW])
    assert seen.damage == pytest.approx(cost)
    assert seen.score() == pytest.approx(100 * 0.11 * cost / 2)


def test_profiles_weigh_false_alarms_and_misses_differently():
    seen = tally(alarms(400), [WINDOW, Window(800, 899)])
    assert seen.score(STANDARD) == pytest.approx(100 * -0.11 / 4)
    assert seen.score(LOW_FP) == pytest.approx(100 * -0.22 / 4)
    assert seen.score(LOW_FN) == pytest.approx(100 * -0.11 / 6)
    one = tally(alarms(500), [WINDOW, Window(800, 899)])
    assert one.score(LOW_FN) == pytest.approx(100 * (1 + 2) / 6)


def test_the_first_15_percent_of_at_most_5000_rows_do_not_count():
    assert (probation(1000), probation(1127), probation(5000), probation(22_000)) == (150, 169, 750, 750)
    assert tally(alarms(0, 149), [WINDOW]) == tally(alarms(), [WINDOW])
    assert tally(alarms(150), [WINDOW]).false_alarms == 1
    assert tally(alarms(120), [Window(100, 199)]).found == 0


def test_a_window_wholly_in_probation_is_no_miss():
    assert tally(alarms(), [Window(20, 60)]).missable == 0
    assert tally(alarms(), [Window(20, 60), WINDOW]).score() == 0


def test_scores_add_up_over_files_before_they_are_normalised():
    both = total([tally(alarms(500), [WINDOW]), tally(alarms(400, 300), []), tally(alarms(), [WINDOW])])
    assert both.score() == pytest.approx(100 * (1 - 1 - 0.22 + 2) / 4)
    assert total([]) == Tally()


def test_without_windows_there_is_no_score():
    with pytest.raises(ZeroDivisionError):
        tally(alarms(400), []).score()
