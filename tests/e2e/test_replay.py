"""Recorded telemetry in both layouts through intake and the whole loop; the ranking is the data-set scorer's own."""

import pytest
from pydantic import TypeAdapter

from agents.sre.drafts import SRE
from domain.commands import Proposal, State
from domain.errors import Invalid, NotFound, Refused
from domain.ids import PrincipalId
from domain.principals import Principal, RoleGrant
from domain.runtime_api import OperationRecord
from domain.topology import EntityRef
from evals.datasets import recordings, run
from evals.datasets.telemetry.feeds import ENVIRONMENT, TENANT, feed_of
from evals.replay import LINES, SENDER, replay
from grounding.vectors import MemoryVectors
from mesh.composition import Parts, compose
from mesh.serving import local_client
from mesh.telemetry import in_memory
from mesh.time import UlidIds, VirtualClock
from storage.engine import Database

TICKETS = TypeAdapter(list[OperationRecord])


def order(ranked):
    return [entity for entity, _ in ranked]


def scored(name, path):
    return {one.case: order(one.ranked) for one in run(name, path).lines}


def replayed(report):
    return {one.case: order(one.incidents[0].ranked) for one in report.cases}


def blank_seconds(report):
    return report.model_copy(update={"cases": tuple(c.model_copy(update={"seconds": 0.0}) for c in report.cases)})


def feeds(name, path):
    for case in recordings(name).cases(path):
        yield feed_of(case, LINES[name](path, case) if name in LINES else None)


@pytest.mark.parametrize("name", ["petshop", "nezha"])
def test_each_incident_ends_in_the_approval_queue_or_as_a_ticket_and_ranks_as_the_scorer_does(name, request):
    path = request.getfixturevalue(name)()

    report = replay(name, path)

    predicted = scored(name, path)
    assert replayed(report) == {case: predicted[case] for case in replayed(report)}
    assert set(replayed(report)) == {case for case in predicted if not case.startswith("normal/")}
    for case in report.cases:
        assert case.taken.refused == 0
        [incident] = case.incidents
        if not incident.proposed:
            assert incident.conclusion == "the symptoms are gone"
        for command in incident.proposed:
            assert command.state in {"AWAITING_APPROVAL", "EXECUTED", "VERIFYING", "SUCCEEDED"}
            assert command.preview == ("create tickets of environment/replay",)
    assert any(incident.proposed for case in report.cases for incident in case.incidents)


def test_logs_and_spans_arrive_as_they_were_recorded(nezha):
    report = replay("nezha", nezha(), "2026-02-03/1")

    [case] = report.cases
    assert case.taken.logs > 100
    assert case.taken.spans > case.taken.logs
    assert order(case.incidents[0].ranked)[0] == "ts-order-service"


def test_a_replay_gives_the_same_again(petshop):
    path = petshop()

    first, second = (replay("petshop", path, "train/issue_0") for _ in range(2))

    assert blank_seconds(first) == blank_seconds(second)


def test_a_false_alarm_blames_nobody_and_proposes_nothing(petshop):
    [case] = replay("petshop", petshop(), "normal/120").cases

    assert [i.verdict for i in case.incidents] == ["healthy"] * len(case.incidents)
    assert not any(i.proposed or i.ranked for i in case.incidents)


@pytest.mark.parametrize("name", ["petshop", "nezha"])
def test_no_label_case_id_or_path_is_in_what_intake_is_given(name, request):
    path = request.getfixturevalue(name)()
    for feed in feeds(name, path):
        given = [feed.points[0], *feed.logs[:50], *feed.spans[:50], *feed.events, feed.observed.topology]
        text = "".join(one.model_dump_json() for one in given)
        assert not any(word in text for word in (feed.case.case_id, "issue", "inject", "fault", "break", path.name))
        assert feed.observed.binding.tenant == TENANT
        assert SENDER.tenants == (TENANT,)


def test_swapped_labels_change_nothing(petshop):
    honest = replay("petshop", petshop(), "train/issue_0")
    swapped = replay("petshop", petshop(labels={"train/issue_0": "Adoptions"}, name="swapped"), "train/issue_0")

    assert blank_seconds(honest) == blank_seconds(swapped)


@pytest.mark.parametrize("name", ["petshop", "nezha"])
def test_the_quiet_period_ends_where_the_window_begins(name, request):
    for feed in feeds(name, request.getfixturevalue(name)()):
        window = feed.case.recording.current
        before = [point.at for point in feed.points if point.at < window.start]
        assert (window.start - max(before)).total_seconds() <= feed.observed.step_s
        assert (window.start - min(before)) <= feed.observed.windows.baseline
        if feed.logs:
            quiet = [line.at for line in feed.logs if line.at < window.start]
            assert window.start - min(quiet) <= feed.observed.windows.lines


ANN = Principal(
    id=PrincipalId("person:ann"), kind="person", name="Ann", grants=(RoleGrant(role="approver", tenant=TENANT),)
)


async def test_a_restart_waits_for_a_person_and_then_opens_a_ticket(petshop, tmp_path):
    feed = next(feeds("petshop", petshop()))
    clock = VirtualClock(feed.end)
    telemetry, _, _ = in_memory(seed=0)
    stores = [Database(f"sqlite:///{tmp_path / name}") for name in ("mesh.db", "runtime.db")]
    parts = Parts(tmp_path, *stores, clock, UlidIds(clock, seed=0), telemetry, vectors=MemoryVectors())
    mesh = compose(parts, feed.observed)
    await mesh.register(feed.observed)
    token = mesh.principals.add(ANN, by=PrincipalId("service:mesh")).token
    restart = Proposal(
        kind="service.restart", arguments={"service": "Table"}, target=EntityRef(kind="service", id="Table"),
        tenant=TENANT, environment=ENVIRONMENT, proposer=SRE, rationale="its connections are stale",
    )  # fmt: skip

    waiting = await mesh.submission.submit(restart)
    assert (waiting.state, [c.path for c in waiting.command.preview]) == (State.AWAITING_APPROVAL, ["tickets"])
    async with local_client(mesh, token) as client:
        answer = await client.post(f"/v1/commands/{waiting.command.id}/approve", json={"digest": waiting.digest})
    assert answer.status_code == 200
    await mesh.loop.step()

    after = mesh.governed.commands.get(TENANT, waiting.command.id)
    assert after.state in {State.EXECUTED, State.VERIFYING, State.SUCCEEDED}
    ours = mesh.readers.client.for_tenant(TENANT)
    tickets = await ours.read(f"/runtime/environments/{ENVIRONMENT}/tickets", TICKETS)
    assert [t.arguments["title"] for t in tickets] == ["service.restart on service/Table"]
    assert "Table" in str(tickets[0].arguments["missing_action"])
    with pytest.raises(Refused, match="only watched"):
        await feed.observed.target(stores[0], mesh.log).restart(ENVIRONMENT, "Table", key="k")
    await mesh.close()


def test_unknown_cases_and_wrong_paths_are_said_clearly(petshop, tmp_path):
    with pytest.raises(NotFound, match="no case train/issue_77"):
        replay("petshop", petshop(), "train/issue_77")
    with pytest.raises(Invalid, match="no graph"):
        replay("petshop", tmp_path / "nowhere")
    with pytest.raises(Invalid, match="not a readable"):
        replay("nezha", tmp_path / "nowhere.tar.xz")
