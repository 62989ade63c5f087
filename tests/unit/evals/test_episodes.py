"""Directors, baselines, capture: what needs a world but no mesh."""

from copy import deepcopy
from datetime import timedelta

import pytest
import yaml

from api.views import IncidentView
from domain.base import TimeRange
from domain.commands import Proposal
from domain.errors import Invalid
from domain.evidence import Diagnosis, Hypothesis
from evals.episodes.baselines import BASELINES, all_baselines, live_through
from evals.episodes.director import Director
from evals.right_answers import carry_out
from evals.scenarios import Scenario, scenario
from evals.scenarios.drawing import open_world
from evals.suite.capture import as_yaml, capture
from evals.twin_cases import pack_of
from runtime.simulator.outages import Outage, without_changes, without_metrics
from runtime.simulator.readers import changes, series_window


@pytest.fixture(scope="module")
def opened():
    return open_world(scenario("deploy-latency"), 3)


def director(opened) -> Director:
    setting, world, moments = deepcopy(opened)
    return Director(setting, world, moments)


def test_baselines_bracket_the_truth_and_leave_the_director_alone(opened):
    mine = director(opened)
    before = mine.world.elapsed_s
    found = all_baselines(mine)
    assert mine.world.elapsed_s == before
    assert set(found) == set(BASELINES)
    oracle, alone = found["oracle"], found["autoscaler"]
    assert oracle.slo_minutes_lost < 0.2 * alone.slo_minutes_lost
    assert oracle.minutes_standing < 1.0 < alone.minutes_standing
    assert found["runbook"].slo_minutes_lost < alone.slo_minutes_lost


def test_a_baseline_repeats_to_the_digit(opened):
    lived = [live_through(director(opened), BASELINES["random"](5)) for _ in range(2)]
    assert lived[0] == lived[1]


def test_what_goes_away_by_itself_is_no_cause():
    drawn = open_world(scenario("recovered-errors"), 1)
    mine = director(drawn)
    live_through(mine, BASELINES["autoscaler"](0))
    assert mine.struck
    assert mine.causes() == ()
    assert not mine.present()


def test_metrics_that_did_not_arrive_are_holes_and_lost_changes_are_gone(opened):
    world = deepcopy(opened[1])
    start, end = world.now - timedelta(minutes=10), world.now
    hole = TimeRange(start=end - timedelta(minutes=5), end=end)
    rows = series_window(world, start, end)
    entity = rows[0].entity
    holed = without_metrics(rows, [Outage(signal="metrics", during=hole, addresses=(entity,))])
    mine = [r for r in holed if r.entity == entity]
    assert all(v is None for r in mine for v in r.values[5:])
    assert all(v is not None for r in mine for v in r.values[:5])
    assert [r for r in holed if r.entity != entity] == [r for r in rows if r.entity != entity]
    everything = TimeRange(start=world.spec.start, end=end)
    assert changes(world, world.spec.start, end)
    lost = Outage(signal="changes", during=everything)
    assert without_changes(changes(world, world.spec.start, end), [lost]) == ()


@pytest.fixture
def view(opened) -> IncidentView:
    world = opened[1]
    service = next(s.id for s in world.layout.services if not s.external)
    pack = pack_of(world, service, world.now - timedelta(minutes=5))
    told = Hypothesis(
        entity=f"service/{service}", fault_class="deploy_errors", statement="s", confidence=0.9, score=1.0
    )
    return IncidentView(
        incident=pack.incident, pack=pack, diagnosis=Diagnosis(verdict="cause_found", hypotheses=(told,))
    )


def test_a_captured_incident_is_a_scenario_that_plays_and_names_nobody(view: IncidentView):
    text = as_yaml(capture(view))
    (plain,) = yaml.safe_load(text)
    again = Scenario.model_validate(plain)
    assert again == capture(view)
    assert again.truth[0].fault_class == "deploy_errors"
    assert view.pack is not None
    names = {s.id for s in view.pack.topology.services} | {s.tenant for s in view.pack.topology.services}
    assert not [name for name in names - {"platform"} if name in text]
    assert open_world(again, 0)[2]


def test_an_incident_nobody_understood_needs_to_be_told(view: IncidentView):
    unsolved = view.model_copy(update={"diagnosis": None})
    with pytest.raises(Invalid, match="--fault"):
        capture(unsolved)
    assert capture(unsolved, fault="disk_full").truth[0].fault_class == "disk_full"
    with pytest.raises(Invalid, match="no evidence"):
        capture(view.model_copy(update={"pack": None}))


def test_the_truthful_twin_does_what_a_command_would(opened):
    world = deepcopy(opened[1])
    service = next(s for s in world.layout.services if not s.external and s.scaling is None)
    carry_out(
        world,
        Proposal.model_validate({
            "kind": "service.scale", "arguments": {"service": service.id, "replicas": service.replicas + 2},
            "target": {"kind": "service", "id": service.id}, "tenant": service.tenant, "environment": "prod",
            "proposer": "agent:sre", "rationale": "room",
        }),
    )  # fmt: skip
    assert world.live.services[service.id].replicas == service.replicas + 2


def test_where_nothing_is_wrong_a_runbook_shows_whether_it_cries_wolf():
    found = all_baselines(Director(*open_world(scenario("recovered-surge"), 1)))
    assert set(found) == {"autoscaler", "runbook"}
    assert found["autoscaler"].acted == 0


def test_a_runbook_that_acts_is_counted(opened):
    assert live_through(director(opened), BASELINES["runbook"](0)).acted > 0
