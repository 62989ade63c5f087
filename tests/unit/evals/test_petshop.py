"""PetShop's loader and scorer on a small folder in its layout."""

import json

import numpy as np
import pytest

from domain.errors import Invalid, NotFound
from domain.evidence import Diagnosis
from evals.datasets import dataset, run
from evals.datasets.petshop import PetShop, read_sheet
from evals.datasets.telemetry.diagnosing import Diagnosed

NORMAL = tuple(f"normal/{row}" for row in range(120, 236, 5))


def rows(report, who="ours"):
    return {(row.metric, row.part): row.value for row in report.rows if row.who == who}


def test_cases_are_issues_in_order_and_windows_of_the_second_half(petshop):
    ids = PetShop().case_ids(petshop())

    assert ids == ("test/issue_0", "test/issue_1", "test/issue_10", "train/issue_0", *NORMAL)
    assert tuple(case.case_id for case in PetShop().cases(petshop())) == ids


def test_own_diagnosis_finds_the_causes_and_stays_quiet(petshop):
    report = run("petshop", petshop())

    assert rows(report)["top-1 recall", "all"] == 1.0
    assert rows(report)["top-1 recall", "train latency"] == 1.0
    assert rows(report)["specificity", "normal"] >= 0.9
    assert rows(report, "floor")["specificity", "normal"] == 0.0
    assert {row.who for row in report.rows} == {"ours", "floor", "record"}
    assert json.loads(report.to_json())["cases"] == len(NORMAL) + 4


def test_answers_use_the_data_sets_own_names(petshop):
    report = run("petshop", petshop())

    named = {one.case: one.ranked for one in report.lines}
    assert named["test/issue_1"][0][0] == "Search Service"


def test_column_order_changes_nothing(petshop):
    plain = run("petshop", petshop())
    turned = run("petshop", petshop(order=list(np.random.default_rng(1).permutation(12)), name="turned"))

    assert [[e for e, _ in one.ranked] for one in plain.lines] == [[e for e, _ in one.ranked] for one in turned.lines]


def test_labels_do_not_reach_the_diagnosis(petshop):
    honest = run("petshop", petshop())
    swapped = run("petshop", petshop(labels=dict.fromkeys(("train/issue_0", "test/issue_0"), "Site"), name="swapped"))

    assert [one.ranked for one in honest.lines] == [one.ranked for one in swapped.lines]
    assert rows(swapped)["top-1 recall", "all"] == 0.5


def test_packs_hold_neither_label_nor_case_id(petshop):
    case = next(PetShop().cases(petshop(labels={"test/issue_0": "the-label"})))
    text = case.packs()[0].model_dump_json()

    assert "the-label" not in text
    assert "issue_0" not in text
    assert "break" not in text


def test_the_baseline_is_the_first_half_only(petshop):
    sheet = read_sheet(petshop() / "noissue" / "metrics.csv")
    pack = next(PetShop().cases(petshop())).packs()[0]

    before = [one for one in pack.series if one.start == pack.baseline.start]
    assert {len(one.values) for one in before} == {120}
    assert pack.baseline.end.timestamp() == pytest.approx(sheet.times[120])


def test_an_accuser_of_everybody_scores_no_specificity(petshop):
    blame = Diagnosis(verdict="cause_found", ranked=(("service/Table", 1.0),))

    report = Diagnosed(PetShop(), lambda pack: blame).run(petshop())

    assert rows(report)["specificity", "normal"] == 0.0
    assert rows(report)["top-1 recall", "all"] == 0.5


def test_given_predictions_are_scored_and_must_be_complete(petshop, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(run("petshop", petshop()).prediction_lines())

    assert rows(run("petshop", petshop(), rescore=path))["top-1 recall", "all"] == 1.0
    path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(Invalid, match="no prediction, first: test/issue_0"):
        run("petshop", petshop(), rescore=path)


def test_progress_is_reported_per_case(petshop):
    seen = []
    run("petshop", petshop(), progress=seen.append)

    assert [one.done for one in seen] == list(range(1, len(NORMAL) + 5))
    assert {one.total for one in seen} == {len(NORMAL) + 4}


def test_another_layout_is_invalid(petshop, tmp_path):
    root = petshop()
    for issue in ("train", "test"):
        (root / issue).rename(tmp_path / f"gone-{issue}")

    with pytest.raises(Invalid, match=r"target\.json"):
        run("petshop", root)


def test_unknown_data_sets_are_not_found(tmp_path):
    with pytest.raises(NotFound, match="petshop, nezha"):
        dataset("nothing")
