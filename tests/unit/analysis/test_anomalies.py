"""The streaming detector: what it must notice, what it must leave alone, and that it never looks ahead."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from analysis.anomalies import THRESHOLD, Detector, Tuning, detect
from analysis.streaming import DayProfile, Record, RunningMean, TailRank

STEP_S = 300.0
DAY = 288
ROWS = 10 * DAY
AT = 8 * DAY + 100
"""Where something happens."""

Values = np.ndarray


def times(rows: int = ROWS) -> list[float]:
    return (1.7e9 + STEP_S * np.arange(rows)).tolist()


def alarms(values: Values, tuning: Tuning | None = None) -> list[int]:
    return np.flatnonzero(detect(times(len(values)), values.tolist(), tuning).alarm).tolist()


def noisy(seed: int = 1, rows: int = ROWS) -> Values:
    return np.random.default_rng(seed).normal(40.0, 2.0, rows)


def daily(seed: int = 1) -> Values:
    return noisy(seed) + 20.0 * np.sin(2 * np.pi * np.arange(ROWS) / DAY)


def spike(values: Values) -> None:
    values[AT : AT + 3] += 50


def dip(values: Values) -> None:
    values[AT : AT + 12] *= 0.1


def lasting_step(values: Values) -> None:
    values[AT:] += 25


def flatline(values: Values) -> None:
    values[AT:] = values[AT]


def turbulence(values: Values) -> None:
    values[AT : AT + 60] += np.random.default_rng(7).normal(0, 12, 60)


@pytest.mark.parametrize("happening", [spike, dip, lasting_step, flatline, turbulence])
@pytest.mark.parametrize("series", [noisy, daily])
def test_what_happens_is_noticed_within_hours(series: Callable[[], Values], happening: Callable[[Values], None]):
    values = series()
    happening(values)
    assert any(AT <= row < AT + 60 for row in alarms(values))


def test_a_rare_burst_in_an_almost_empty_series_is_noticed():
    chance = np.random.default_rng(5)
    values = np.where(chance.random(ROWS) < 0.02, chance.integers(1, 4, ROWS), 0).astype(float)
    values[AT : AT + 12] = 5
    assert any(AT <= row < AT + 24 for row in alarms(values))


def test_the_first_change_of_a_constant_series_is_noticed_and_rounding_is_not():
    values = np.full(ROWS, 0.1)
    assert alarms(values + 1e-14 * np.sin(np.arange(ROWS))) == []
    values[AT : AT + 6] = 0.3
    assert any(AT <= row < AT + 6 for row in alarms(values))


def test_quiet_series_alarm_rarely():
    heard = [len(alarms(series(seed))) for series in (noisy, daily) for seed in range(8)]
    assert np.mean(heard) < 5
    """In ten days of 5-minute samples, most of them early: records of noise come ever more slowly."""


def test_one_event_is_one_alarm():
    values = noisy()
    values[AT : AT + 80] += 50
    assert len([row for row in alarms(values) if AT <= row < AT + 80]) == 1


def test_two_anomalies_do_not_hide_the_next_one():
    values = noisy(seed=2, rows=12 * DAY)
    for start in (5 * DAY, 8 * DAY, 11 * DAY):
        values[start : start + 20] += 25
    assert all(any(start <= row < start + 30 for row in alarms(values)) for start in (5 * DAY, 8 * DAY, 11 * DAY))


@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4), (-1.0, 0.0)])
def test_units_do_not_matter(factor: float, offset: float):
    values = daily()
    spike(values)
    assert alarms(values * factor + offset) == alarms(values)


def test_nothing_is_known_before_it_comes():
    values = daily()
    whole = detect(times(), values.tolist())
    other = values.copy()
    other[AT:] = 1e6
    cut = detect(times(), other.tolist())
    assert whole.score[:AT].tolist() == cut.score[:AT].tolist()
    assert whole.alarm[:AT].tolist() == cut.alarm[:AT].tolist()


def test_one_by_one_and_in_bulk_agree():
    values = daily()
    spike(values)
    detector = Detector()
    single = [detector.update(at_s, value) for at_s, value in zip(times(), values.tolist(), strict=True)]
    bulk = detect(times(), values.tolist())
    assert [one.score for one in single] == bulk.score.tolist()
    assert [one.alarm for one in single] == bulk.alarm.tolist()


def test_an_alarm_is_a_score_above_the_threshold():
    values = daily()
    spike(values)
    found = detect(times(), values.tolist())
    assert found.alarm.any()
    assert (found.score[found.alarm] > THRESHOLD).all()
    assert ((found.score >= 0) & (found.score < 1)).all()


def test_what_is_no_number_is_no_reading():
    values = daily()
    spike(values)
    seen, holes = Detector(), Detector()
    for at_s, value in zip(times(), values.tolist(), strict=True):
        assert holes.update(at_s, float("nan")) == (0.0, False)
        assert holes.update(at_s, value) == seen.update(at_s, value)


def test_a_gap_in_time_is_no_anomaly():
    at = times()
    moved = [one + (3 * 86_400 if row >= AT else 0) for row, one in enumerate(at)]
    values = daily()
    assert not detect(moved, values.tolist()).alarm[AT : AT + 60].any()


def test_memory_does_not_grow():
    detector, values, sizes = Detector(), daily().tolist(), list[int]()
    for row, (at_s, value) in enumerate(zip(times(), values, strict=True)):
        detector.update(at_s, value)
        if row in {3 * DAY, ROWS - 1}:
            sizes.append(len(pickle.dumps(detector)))
    assert sizes[1] < 1.05 * sizes[0] < 10_000


def test_a_running_mean_is_plain_until_its_span():
    mean = RunningMean(4)
    assert [mean.add(value) for value in (1.0, 3.0, 5.0, 7.0)] == [1.0, 2.0, 3.0, 4.0]
    assert mean.add(8.0) == 5.0


def test_a_tail_rank_is_the_logarithm_of_the_share_at_least_as_large():
    rank = TailRank(1e9)
    for value in np.linspace(0.5, 1.5, 999):
        rank.add(float(value))
    assert rank.add(400.0) == pytest.approx(-np.log10(0.5 / 1000), abs=1e-3)
    assert rank.add(1.0) == pytest.approx(-np.log10(0.5), abs=0.1)
    assert rank.add(0.0) == pytest.approx(0.0, abs=0.01)


def test_a_profile_knows_the_time_of_day_but_not_the_day_itself():
    profile, middle = DayProfile(slots=24, days=5), 1800.0
    first = [profile.add(hour * 3600.0 + middle, float(hour)) for hour in range(24)]
    assert first == [None] * 24
    second = [profile.add(86_400 + hour * 3600.0 + middle, 99.0) for hour in range(24)]
    assert second == [float(hour) for hour in range(24)]


def test_a_record_is_the_kth_highest_block():
    record = Record(block=2, kth=2, half_life=1e9)
    for value in (1.0, 4.0, 3.0, 2.0, 0.0, 1.0):
        record.add(value)
    assert record.level == pytest.approx(3.0)


def test_a_record_fades():
    record = Record(block=2, kth=1, half_life=2.0)
    for value in (1.0, 4.0, 0.0, 0.0):
        record.add(value)
    assert record.level == pytest.approx(2.0)


def test_an_event_counts_as_one_record_however_long():
    once, long = (Record(block=2, kth=2, half_life=1e9) for _ in range(2))
    for record, length in ((once, 1), (long, 20)):
        record.add(1.0)
        for _ in range(length):
            record.add(9.0, same_event=True)
        record.add(1.0)
    assert once.level == pytest.approx(0.0)
    assert long.level == pytest.approx(0.0)
