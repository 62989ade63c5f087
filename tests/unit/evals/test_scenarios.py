from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.errors import Invalid, NotFound
from evals.scenarios import load, read, scenario, setting
from evals.scenarios.decoys import DECOYS
from evals.scenarios.drawing import open_world
from evals.scenarios.model import BlindAt, DecoyAt, FaultAt, FreezeAt, RivalAt, Scenario, TrueCause
from runtime.simulator.faults import BY_NAME
from runtime.simulator.generator import random_world
from runtime.simulator.record import launch

FAULTY = [s for s in load() if not s.quiet]


def test_the_suite_is_as_large_and_as_wide_as_promised():
    assert len(FAULTY) >= 60
    assert sum(s.quiet for s in load()) >= 25
    assert {s.domain for s in FAULTY} == {"sre", "capacity", "cost", "resilience", "drift"}
    assert {h.fault for s in FAULTY for h in s.timeline if isinstance(h, FaultAt)} == set(BY_NAME)


@pytest.mark.parametrize("kind", [BlindAt, FreezeAt, RivalAt, DecoyAt])
def test_special_circumstances_occur(kind: type):
    assert any(isinstance(h, kind) for s in FAULTY for h in s.timeline)


def test_two_faults_at_once_occur():
    assert Counter(len(s.truth) for s in FAULTY)[2] >= 2


@pytest.mark.parametrize("one", load(), ids=lambda s: s.name)
def test_what_a_scenario_states_is_what_its_rows_say(one: Scenario):
    faults = [h for h in one.timeline if isinstance(h, FaultAt)]
    lasting = [BY_NAME[h.fault] for h in faults if h.lasts is None]
    assert [row.fault_class for row in lasting] == [cause.fault_class for cause in one.truth]
    assert {row.domain for row in lasting} <= {one.domain}
    assert all(h.decoy in DECOYS for h in one.timeline if isinstance(h, DecoyAt))
    if len(lasting) == 1 and "special" not in one.suites:
        assert one.good == lasting[0].ending


def test_a_seed_repeats_and_another_does_not():
    one = scenario("deploy-latency")
    assert setting(one, 3) == setting(one, 3)
    assert setting(one, 3).spec != setting(one, 4).spec
    names = [{s.id for s in setting(one, seed).spec.services} for seed in (3, 4)]
    assert names[0] != names[1]


def test_two_scenarios_never_share_a_world():
    first, second = (setting(scenario(name), 3) for name in ("healthy", "deploy-latency"))
    assert first.spec != second.spec


def test_the_same_seed_aims_the_same_fault_at_the_same_victim():
    one = scenario("bad-config")
    aimed = [open_world(one, 2)[2][0].draw for _ in range(2)]
    assert aimed[0] == aimed[1] is not None


def test_two_faults_strike_two_entities():
    _, _, moments = open_world(scenario("dual-config-and-release"), 1)
    struck = [m.draw.entity for m in moments if m.draw is not None]
    assert len(set(struck)) == 2


def test_a_truth_that_does_not_fit_the_timeline_is_refused():
    with pytest.raises(ValueError, match="faults stay"):
        Scenario(name="x", title="x", good="recover", truth=(TrueCause(fault_class="deploy_latency"),))


def test_silence_belongs_to_quiet_scenarios_only():
    with pytest.raises(ValueError, match="silence is right"):
        Scenario(name="x", title="x", good="wait")


@pytest.mark.parametrize("text", ["- name: x\n  titel: y\n", "a: [", "- 3\n"])
def test_a_broken_file_is_named(tmp_path: Path, text: str):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(Invalid, match=r"broken\.yaml"):
        read(path)


def test_an_unknown_scenario_is_not_found():
    with pytest.raises(NotFound):
        scenario("no-such-thing")


def test_every_decoy_is_played():
    assert {h.decoy for s in load() for h in s.timeline if isinstance(h, DecoyAt)} == set(DECOYS)


@pytest.mark.parametrize("name", DECOYS)
def test_a_decoy_does_not_say_that_it_is_one(name: str):
    spec = random_world(5, services=12, tenants=2)
    world = launch(spec, 5)
    world.advance(world.now + timedelta(minutes=2))
    world.journal.drain(world.elapsed_s)
    service = next(s for s, state in world.live.services.items() if "pool_size" in state.config)
    DECOYS[name](world, service, np.random.default_rng(5))
    told = [sent.event.model_dump_json() for sent in world.journal.drain(world.elapsed_s + 7200.0)]
    seen = " ".join([*told, *(c.model_dump_json() for c in world.journal.changes)]).lower()
    assert told or name == "busier"
    words = {"decoy", "herring", "storm", "benign", "hiccup", "poison", "scenario", "fake"}
    assert not [word for word in words if word in seen]
