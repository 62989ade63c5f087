"""The verb `replay`: what it prints, its exit codes, and one clear line for a wrong path."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cli import main
from domain.evidence import DataGap
from evals import replay as replaying
from evals.replay import CaseReplayed, IncidentReplayed, Proposed, ReplayReport, Taken

TICKET = Proposed(
    command="01C", kind="ticket.open", target="service/cart", state="AWAITING_APPROVAL", policy="ask",
    reasons=("no evidence is cited",), rationale="cart is slow", preview=("create tickets of environment/replay",),
)  # fmt: skip
INCIDENT = IncidentReplayed(
    incident="01I", title="cart: [red]latency[/] 2s", severity="error", opened_at=datetime(2026, 3, 1, 9, tzinfo=UTC),
    symptoms=("service/site",), verdict="unresolved", summary="no explanation convinces",
    ranked=(("cart", 0.7), ("site", 0.2)), hypotheses=(), proposed=(TICKET,), paged=(),
    gaps=(DataGap(what="metrics of service/db", why="no series returned"),), looks=2, conclusion="",
)  # fmt: skip
CASE = CaseReplayed(case="train/issue_0", incidents=(INCIDENT,), taken=Taken(points=10, events=1), seconds=1.5)


@pytest.fixture
def replayed(monkeypatch):
    """Let the verb find this report instead of running a loop."""

    def given(*cases: CaseReplayed) -> list[tuple[object, ...]]:
        asked: list[tuple[object, ...]] = []

        def replay(name, path, case=None, *, progress=None):
            asked.append((name, str(path), case))
            return ReplayReport(source=name, cases=cases)

        monkeypatch.setattr(replaying, "replay", replay)
        monkeypatch.setenv("COLUMNS", "200")
        return asked

    return given


def call(*words):
    return CliRunner().invoke(main.app, ["replay", *words])


def test_a_person_sees_incident_ranking_proposal_and_gaps(replayed):
    asked = replayed(CASE)

    result = call("petshop", "somewhere", "--case", "train/issue_0")

    assert result.exit_code == 0
    assert asked == [("petshop", "somewhere", "train/issue_0")]
    for part in (
        "10 samples", "cart: [red]latency[/] 2s", "blamed 0.70  cart", "AWAITING_APPROVAL", "no evidence is cited",
        "create tickets of environment/replay", "not seen: metrics of service/db", "1 cases replayed",
    ):  # fmt: skip
        assert part in result.output


def test_json_is_the_whole_report_and_nothing_else(replayed):
    replayed(CASE)

    result = call("nezha", "day.tar.xz", "--json")

    assert ReplayReport.model_validate(json.loads(result.stdout)) == ReplayReport(source="nezha", cases=(CASE,))


@pytest.mark.parametrize(
    "case",
    [
        CASE.model_copy(update={"taken": Taken(points=10, events=1, refused=3)}),
        CASE.model_copy(update={"incidents": ()}),
    ],
    ids=["refused", "no-incident"],
)
def test_refused_input_and_a_case_without_an_incident_exit_with_one(replayed, case):
    replayed(CASE, case)

    assert call("petshop", "somewhere").exit_code == 1


def test_an_incident_that_ends_by_waiting_says_why(replayed):
    waiting = INCIDENT.model_copy(update={"proposed": (), "conclusion": "the symptoms are gone"})
    replayed(CASE.model_copy(update={"incidents": (waiting,)}))

    result = call("petshop", "somewhere")

    assert result.exit_code == 0
    assert "nothing proposed: the symptoms are gone" in result.output


@pytest.mark.parametrize(("name", "said"), [("petshop", "no graph.csv here"), ("nezha", "not a readable tar.xz")])
def test_a_wrong_path_is_one_clear_line_and_exit_code_two(name, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["opsmesh", "replay", name, str(tmp_path / "nowhere")])

    with pytest.raises(SystemExit) as ended:
        main.run()

    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
