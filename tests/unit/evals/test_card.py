"""The whole card: what is there is scored, what is not is said, and a refusal is no silence."""

import pytest

from domain.errors import Invalid, NotFound
from evals.datasets import DATASETS
from evals.datasets.card import Entry, entry_of, score_card
from evals.datasets.scoring import Row, figures

POD = "kind: Pod\nspec: {containers: [{name: c, image: i}]}\n"


@pytest.fixture
def root(tmp_path):
    for place in ("podsecurity/baseline/v1.37/pass/base.yaml", "podsecurity/baseline/v1.37/fail/privileged0.yaml"):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        file.write_text(POD)
    return tmp_path


def test_sets_are_scored_where_they_lie_and_missing_ones_are_said(root):
    card = score_card(root, ["podsecurity", "loghub"])

    assert [(one.dataset, one.place, one.status) for one in card.entries] == [
        ("podsecurity", "podsecurity", "scored"),
        ("loghub", "loghub", "missing"),
    ]
    accuracy = card.entries[0].promises[0]
    assert (accuracy.ours.value, accuracy.ours.met) == (0.5, False)
    assert [row.name for row in accuracy.floors] == ["always refuse"]
    assert not card.met


def test_what_a_set_refuses_is_a_failed_entry(root):
    entry = entry_of("loghub", root, "here")

    assert (entry.status, entry.met) == ("failed", False)
    assert "_2k.log" in entry.why


def test_a_card_is_met_when_every_set_is_scored_and_every_target_is_met():
    assert Entry(dataset="x", place="x", status="scored").met
    assert not Entry(dataset="x", place="x", status="missing").met


def test_no_folder_and_an_unknown_set_are_errors(tmp_path):
    with pytest.raises(Invalid, match="no folder"):
        score_card(tmp_path / "nothing")
    with pytest.raises(NotFound, match="known: petshop"):
        score_card(tmp_path, ["nothing"])


def test_every_set_has_one_name_and_says_where_it_lies():
    assert len({one.name for one in DATASETS}) == len(DATASETS)
    assert all(one.places.partition("/")[0] == one.name for one in DATASETS)


def test_rows_stand_beside_their_company():
    ours, other = Row(metric="m", part="a", value=1.0), Row(metric="m", part="b", value=2.0)
    floor, record = (Row(metric="m", part="a", who=who, value=3.0) for who in ("floor", "record"))

    assert figures([ours, other, record, floor]) == (
        ("m", "a", (ours,), (floor,), (record,)),
        ("m", "b", (other,), (), ()),
    )
