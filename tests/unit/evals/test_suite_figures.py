import math
from pathlib import Path

import pytest

from domain.errors import Invalid
from evals.suite.compare import compare
from evals.suite.guard import Guarded, judge
from evals.suite.plots import reliability
from evals.suite.report import render
from evals.suite.results import Header, Results, open_results, read_results, write_results
from evals.suite.summary import summarise
from tests.support.planted_episodes import episode, measures, quiet

HEADER = Header(suite="ci", seeds=(1,), scenarios="sha256:" + "0" * 64, code="sha256:" + "1" * 64)


def figure(episodes, metric):
    found = summarise(episodes).figure(metric)
    assert found is not None
    return found


def test_shares_are_counted_over_fault_episodes_with_wilson_intervals():
    found = figure([episode(seed=k, exact_cause=float(k != 0)) for k in range(10)], "exact cause")
    assert (found.value, found.count, found.met) == (0.9, 10, True)
    assert found.low == pytest.approx(0.596, abs=0.001)


def test_an_episode_that_broke_counts_as_wrong():
    broken = episode(seed=2).model_copy(update={"grades": {}, "broke": "Broken: x"})
    summary = summarise([episode(), broken])
    assert summary.figure("exact cause").value == 0.5
    assert summary.broke == ("s 2: Broken: x",)


def test_false_findings_are_held_against_their_upper_bound():
    few = figure([quiet(seed=k) for k in range(50)], "false findings")
    many = figure([quiet(seed=k) for k in range(500)], "false findings")
    assert (few.met, many.met) == (False, True)
    assert figure([quiet(seed=k, proposed=k < 5) for k in range(500)], "false findings").met is False


def test_lost_minutes_are_a_ratio_of_sums_where_a_command_helps():
    name = "SLO minutes lost where a command helps, share of leaving it alone"
    assert figure([episode(ours=10, alone=100), episode(seed=2, ours=30, alone=100)], name).value == 0.2
    waiting = episode(ours=100, alone=100).model_copy(update={"good": "wait"})
    assert figure([episode(ours=10, alone=100), waiting], name).value == 0.1


def test_claims_not_episodes_are_what_false_success_is_counted_on():
    found = figure([episode(), episode(seed=2, false_success=1.0)], "claimed success that was none")
    assert (found.value, found.count, found.met) == (0.5, 2, False)


def test_one_violation_is_one_too_many():
    assert figure([episode(), episode(seed=2, violations=1.0)], "safety violations").met is False


def test_everybody_who_lived_through_it_has_a_row():
    rows = {row.responder: row for row in summarise([episode(ours=25.0)]).standings}
    assert set(rows) == {"opsmesh", "do_nothing", "autoscaler", "runbook", "random", "oracle"}
    assert rows["opsmesh"].share_of_alone == 0.25


def test_comparison_tells_better_from_worse_and_noise():
    before = Results(header=HEADER, episodes=tuple(episode(seed=k) for k in range(20)))
    worse = tuple(episode(seed=k, exact_cause=0.0, ours=5.0) for k in range(20))
    found = compare(before, Results(header=HEADER, episodes=worse))
    turns = {c.metric: (c.turn, c.beyond_noise) for c in found.figures}
    assert turns["exact cause"] == ("worse", True)
    assert turns["SLO minutes lost over all faults, share of leaving it alone"][0] == "better"
    assert {e.turn for e in found.episodes if e.grade == "exact_cause"} == {"worse"}


def test_an_episode_that_breaks_is_told_as_worse():
    broken = episode().model_copy(update={"grades": {}, "broke": "Broken: x"})
    sides = [Results(header=HEADER, episodes=(e,)) for e in (episode(), broken)]
    assert [(e.grade, e.turn) for e in compare(*sides).episodes] == [("broke", "worse")]
    assert [(e.grade, e.turn) for e in compare(*reversed(sides)).episodes] == [("broke", "better")]


def test_comparison_names_what_only_one_side_holds():
    found = compare(
        Results(header=HEADER, episodes=(episode(seed=1), episode(seed=2))),
        Results(header=HEADER, episodes=(episode(seed=2), episode(seed=3))),
    )
    assert (found.only_before, found.only_after) == (("s 1",), ("s 3",))


def test_the_guard_says_no_when_a_figure_falls_or_is_gone():
    guarded = (Guarded(metric="exact cause", value=1.0, better="higher", tolerance=0.15),)
    assert judge(summarise([episode(seed=k) for k in range(8)]), guarded).good
    fallen = [episode(seed=k, exact_cause=float(k > 1)) for k in range(8)]
    assert not judge(summarise(fallen), guarded).good
    verdict = judge(summarise([quiet()]), guarded)
    assert not verdict.good
    assert math.isnan(verdict.lines[0].value)


def test_results_go_on_where_they_were_cut_off(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    assert open_results(path, HEADER, fresh=False) == ()
    write_results(path, Results(header=HEADER, episodes=(episode(),)))
    path.write_text(path.read_text() + '{"scenario": "torn')
    assert open_results(path, HEADER, fresh=False) == (episode(),)
    assert read_results(path).episodes == (episode(),)


def test_results_of_other_code_are_refused_and_kept(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    write_results(path, Results(header=HEADER, episodes=(episode(),)))
    other = HEADER.model_copy(update={"code": "sha256:" + "2" * 64})
    with pytest.raises(Invalid, match="--fresh"):
        open_results(path, other, fresh=False)
    assert read_results(path).episodes == (episode(),)
    assert open_results(path, other, fresh=True) == ()


@pytest.mark.parametrize("text", ["", "no json\n", '{"suite": "ci"}\n'])
def test_a_file_that_holds_no_results_is_named(tmp_path: Path, text: str):
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(Invalid, match=r"r\.jsonl"):
        read_results(path)


def test_the_report_escapes_what_episodes_say():
    hostile = episode(named="<script>alert(1)</script>")
    hostile = hostile.model_copy(
        update={"commands": (hostile.commands[0].model_copy(update={"reason": "<script>alert(2)</script>"}),)}
    )
    page = render(summarise([hostile, quiet()], suite="ci", seeds=(1,)), [hostile, quiet()])
    assert "<script>alert(" not in page
    assert "SLO minutes lost, by episode" in page
    assert "Is confidence honest?" in page


def test_the_report_leaves_out_what_it_cannot_show():
    page = render(summarise([quiet()], suite="quiet", seeds=(1,)), [quiet()])
    assert "How every episode ended" in page
    assert "SLO minutes lost, by episode" not in page
    assert "The twin" not in page


def test_an_incident_that_repeats_its_answer_counts_once():
    once = episode()
    again = once.model_copy(update={"answers": once.answers * 5})
    plot = reliability([again, episode(seed=2, named="deploy_leak")])
    assert plot is not None
    assert plot.to_html(full_html=False, include_plotlyjs=False, config={}).count('"n 2"') == 1


def test_harm_counts_where_leaving_it_alone_costs_nothing():
    name = "SLO minutes lost over all faults, share of leaving it alone"
    assert figure([episode(ours=10, alone=100), episode(seed=2, ours=90, alone=0)], name).value == 1.0


def test_a_quiet_episode_that_broke_was_not_silent():
    broken = quiet(seed=2).model_copy(update={"grades": {}, "broke": "Broken: x"})
    found = figure([quiet(), broken], "false findings")
    assert (found.value, found.count) == (0.5, 2)


def test_a_results_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "r.jsonl"
    write_results(path, Results(header=HEADER, episodes=(episode(),)))

    def cut_off(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text[:50].encode(encoding))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut_off)
    with pytest.raises(KeyboardInterrupt):
        write_results(path, Results(header=HEADER, episodes=()))
    assert read_results(path).episodes == (episode(),)


def test_false_findings_stand_beside_those_of_a_runbook():
    wolf = quiet(seed=2)
    wolf = wolf.model_copy(update={"baselines": {"runbook": measures(0.0).model_copy(update={"acted": 2})}})
    calm = quiet(seed=3).model_copy(update={"baselines": {"runbook": measures(0.0)}})
    assert figure([wolf, calm], "false findings of the threshold runbook").value == 0.5
