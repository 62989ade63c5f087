"""What the twin got wrong here widens what it says next; it never narrows it."""

from datetime import UTC, datetime

import pytest

from domain.commands import Prediction, Quantity
from domain.outcomes import Outcome, PredictionError
from mesh.experience import Experienced, inflation

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Says:
    def rehearse(self, pack: object, proposal: object, *, horizon_s: int) -> Prediction:
        return Prediction(
            known=True, horizon_s=horizon_s, error_rate=Quantity(value=-0.2, low=-0.3, high=-0.15),
            slo_attainment=Quantity(value=0.2, low=0.1, high=0.25),
            cost_usd_per_hour=Quantity(value=1.0, low=0.9, high=1.1),
        )  # fmt: skip


def error(measured: float) -> PredictionError:
    return PredictionError(quantity="error_rate", predicted=-0.2, low=-0.3, high=-0.1, measured=measured, inside=False)


def outcome(measured: float) -> Outcome:
    return Outcome(
        command="c", digest="sha256:" + "0" * 64, incident=None, tenant="t", environment="prod",
        kind="service.restart", target="service/a", state="succeeded", verification=None, prediction=None,
        errors=(error(measured),), at=AT,
    )  # fmt: skip


def predicted(past: tuple[Outcome, ...]) -> Prediction:
    return Experienced(Says(), past).rehearse(None, None, horizon_s=600)


def test_few_outcomes_say_nothing():
    assert predicted(tuple(outcome(0.6) for _ in range(8))) == predicted(())


def test_intervals_that_kept_missing_are_widened_by_how_far_they_missed():
    found = predicted(tuple(outcome(0.1) for _ in range(12)))
    assert found.error_rate.value == -0.2
    assert found.error_rate.high == pytest.approx(-0.2 + 3.0 * 0.05)
    assert found.error_rate.low == pytest.approx(-0.2 - 3.0 * 0.1)
    assert found.slo_attainment.low == pytest.approx(0.2 - 3.0 * 0.1)
    assert found.cost_usd_per_hour.low == 0.9


def test_intervals_that_held_are_left_as_they_are():
    assert predicted(tuple(outcome(-0.21) for _ in range(40))) == predicted(())


def test_one_miss_in_ten_is_what_ninety_percent_means():
    assert inflation([error(-0.2)] * 18 + [error(0.9)]) == 1.0
    assert inflation([error(-0.2)] * 10 + [error(0.9)] * 3) > 10.0
