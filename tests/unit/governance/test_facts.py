"""Facts are whole numbers, rounded against the command, and complete."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.commands import Prediction, Quantity
from domain.tenancy import AffectedSet
from governance.budgets import charges_of
from governance.facts import Facts, Surroundings, assemble, in_catalogue
from tests.unit.governance.policy_goldens import AT, COMMAND, FACTS, SURROUNDINGS, command


def around(**changes: object) -> Surroundings:
    return SURROUNDINGS.model_copy(update=changes)


def test_costs_are_rounded_up_and_reserves_down() -> None:
    facts = assemble(
        COMMAND,
        around(
            spend_change_usd_per_hour=0.101,
            budget_left_usd_per_hour=0.999,
            error_budget_left=0.099,
            services_touched=1,
            services_total=3,
            replicas_affected=1,
            replicas_total=3,
            evidence_age_s=900.2,
        ),
    )
    assert facts.spend_change_cents_per_hour == 11
    assert facts.budget_left_cents_per_hour == 99
    assert facts.error_budget_left_pct == 9
    assert (facts.service_share_pct, facts.replicas_affected_pct) == (34, 34)
    assert facts.evidence_age_s == 901


@pytest.mark.parametrize("percent", range(101))
def test_whole_percents_survive_binary_fractions(percent: int) -> None:
    facts = assemble(command(confidence=percent / 100), around(error_budget_left=percent / 100))
    assert (facts.confidence_pct, facts.error_budget_left_pct) == (percent, percent)


def test_the_dearer_of_price_list_and_rehearsal_counts() -> None:
    cost = Quantity(value=2.0, low=1.0, high=3.0)
    predicted = command(prediction=Prediction(known=True, horizon_s=60, cost_usd_per_hour=cost))
    assert assemble(predicted, around(spend_change_usd_per_hour=0.5)).spend_change_cents_per_hour == 300
    assert assemble(predicted, around(spend_change_usd_per_hour=3.5)).spend_change_cents_per_hour == 350


@pytest.mark.parametrize("by_price_list", [0.5, 3.5])
def test_policy_judges_what_the_budget_reserves(by_price_list: float) -> None:
    """Else people are asked about what cannot be reserved, or more is reserved than policy has seen."""
    cost = Quantity(value=2.0, low=1.0, high=3.0)
    predicted = command(prediction=Prediction(known=True, horizon_s=60, cost_usd_per_hour=cost))
    judged = assemble(predicted, around(spend_change_usd_per_hour=by_price_list)).spend_change_cents_per_hour
    held = [c.amount for c in charges_of(predicted, by_price_list) if c.resource == "spend_usd_per_hour"]
    assert {round(100 * amount) for amount in held} == {judged}


@pytest.mark.parametrize(
    "prediction",
    [
        None,
        Prediction(known=False, horizon_s=60, slo_attainment=Quantity(value=1, low=1, high=1)),
        Prediction(known=True, horizon_s=60),
        Prediction(known=True, horizon_s=60, slo_attainment=Quantity(value=float("nan"), low=0, high=0)),
        Prediction(known=True, horizon_s=60, slo_attainment=Quantity(value=0, low=float("-inf"), high=0)),
    ],
    ids=["none", "unknown", "no attainment", "not a number", "infinite"],
)
def test_a_prediction_without_figures_is_unknown(prediction: Prediction | None) -> None:
    assert not assemble(command(prediction=prediction), SURROUNDINGS).prediction_known


@given(value=st.floats())
def test_no_figure_escapes_the_range_of_canonical_json(value: float) -> None:
    facts = assemble(COMMAND, around(spend_change_usd_per_hour=value, budget_left_usd_per_hour=value))
    assert facts.digest.startswith("sha256:")
    if value != value:  # noqa: PLR0124 - not a number
        assert facts.spend_change_cents_per_hour > facts.budget_left_cents_per_hour


def test_expiry_and_affected_set_come_from_the_command() -> None:
    affected = AffectedSet(
        tenants=("acme", "globex"), environments=("prod",), resources=("service/a", "service/b"), spans_tenants=True
    )
    facts = assemble(command(expires_at=AT + timedelta(seconds=1.5), affected=affected), SURROUNDINGS)
    assert (facts.seconds_to_expiry, facts.resources, facts.tenants_affected) == (1, 2, 2)
    assert facts.spans_tenants


def test_only_an_open_incident_is_remediated() -> None:
    assert FACTS.remediates
    assert not assemble(COMMAND, around(incident_open=False)).remediates
    assert not assemble(command(incident=None), SURROUNDINGS).remediates


def test_the_catalogue_names_agents_and_counts_everybody_else_as_persons() -> None:
    assert in_catalogue(COMMAND, "agent", "sre")
    assert not in_catalogue(COMMAND, "agent", "cost")
    assert in_catalogue(COMMAND, "person", "Dana")
    assert in_catalogue(COMMAND, "service", "pipeline")
    assert not in_catalogue(COMMAND, "agent", "person"), "an agent's name opens nothing but its own rows"


@pytest.mark.parametrize("name", sorted(Surroundings.model_fields))
def test_nothing_around_a_command_may_be_left_out(name: str) -> None:
    known = SURROUNDINGS.model_dump()
    known.pop(name)
    with pytest.raises(ValidationError):
        Surroundings.model_validate(known)


@pytest.mark.parametrize("name", sorted(Facts.model_fields))
def test_no_fact_may_be_left_out(name: str) -> None:
    known = FACTS.model_dump()
    known.pop(name)
    with pytest.raises(ValidationError):
        Facts.model_validate(known)


def test_the_digest_changes_with_every_fact() -> None:
    changed = FACTS.model_copy(update={"quota_ok": False})
    assert changed.digest != FACTS.digest
    assert Facts.model_validate_json(FACTS.model_dump_json()).digest == FACTS.digest
