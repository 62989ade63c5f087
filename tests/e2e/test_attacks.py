"""Attacks on the composed mesh: each found a way once, and must not find it again."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.views import CommandRequest
from domain.command_kinds import CommandKind
from domain.commands import Command, CommandRecord, State
from domain.errors import Invalid, OutcomeUnknown
from domain.ids import CommandId, IncidentId
from domain.outcomes import EffectReceipt
from domain.principals import READING_ROLES
from domain.topology import EntityRef
from evals.crash_cases import APPROVER, PROPOSER, SERVICE, TENANT, proposal_of
from governance.policy import Permission
from mesh import api_services
from mesh.api_services import CommandsBehind, ProposingBehind
from tests.support.composed import composed
from tools.actions import Tool


def _request(kind: CommandKind) -> CommandRequest:
    asked = proposal_of(kind)
    return CommandRequest.model_validate(asked.model_dump(include=set(CommandRequest.model_fields)))


async def test_a_target_that_the_arguments_do_not_name_is_refused(tmp_path: Path) -> None:
    """Blast radius, tenants and reservations of a restart came from the target, the effect from the arguments."""
    async with composed(tmp_path) as bench:
        for kind in ("service.restart", "service.rollback"):
            with pytest.raises(Invalid, match="target"):
                await bench.proposed(kind, target=EntityRef(kind="service", id="tracking-api"))
        with pytest.raises(Invalid, match="target"):
            await bench.proposed("service.restart", target=EntityRef(kind="node_pool", id=SERVICE))


async def test_no_callers_key_can_take_the_place_of_anothers_undo(tmp_path: Path) -> None:
    async with composed(tmp_path) as bench:
        parent = await bench.proposed()
        squatted = f"{parent.command.idempotency_key}.undo"
        for key in (squatted, "k" * 200):
            asked = await ProposingBehind(bench.mesh).propose(
                PROPOSER, _request("service.restart"), key=key, dry_run=False
            )
            assert asked.record is not None
            assert asked.record.command.idempotency_key != squatted
            assert len(f"{asked.record.command.idempotency_key}.{parent.command.id}.undo") <= 200


async def test_the_same_callers_same_key_is_the_same_command(tmp_path: Path) -> None:
    async with composed(tmp_path) as bench:
        proposing = ProposingBehind(bench.mesh)
        one, two = [
            (await proposing.propose(PROPOSER, _request("service.restart"), key="mine", dry_run=False)).record
            for _ in range(2)
        ]
        assert one is not None
        assert two is not None
        assert one.command.id == two.command.id


async def test_what_a_command_costs_by_the_price_list_is_held_of_the_spend_budget(tmp_path: Path) -> None:
    """Without a rehearsal nothing was held: any number of commands fitted, each within what was left."""
    async with composed(tmp_path) as bench:
        record = await bench.approved("scaling_policy.update")
        around = await bench.mesh.submission.surroundings.around(record.command)
        assert around.spend_change_usd_per_hour > 0
        levels = bench.mesh.governed.budgets.levels(TENANT, bench.clock.now())
        used = next(level.used for level in levels if level.budget.resource == "spend_usd_per_hour")
        assert used == pytest.approx(around.spend_change_usd_per_hour)


async def test_more_cpu_costs_as_often_as_there_are_replicas(tmp_path: Path) -> None:
    async with composed(tmp_path) as bench:
        held = bench.mesh.readers.runtime(TENANT)
        service = (await held.desired(proposal_of("service.restart").environment)).base.services[SERVICE]
        assert service.replicas > 1
        arguments = {
            "service": SERVICE, "cpu_millicores": service.cpu_millicores + 1000, "memory_mib": service.memory_mib,
        }  # fmt: skip
        asked = proposal_of("service.restart").model_copy(update={"kind": "service.resize", "arguments": arguments})
        command, _ = await bench.mesh.submission.preview(asked)
        topology = await held.topology(command.environment)
        cores = [p.cost_usd_per_node_hour / p.cpu_millicores_per_node for p in topology.node_pools]
        around = await bench.mesh.submission.surroundings.around(command)
        mean = sum(cores) / len(cores)
        assert around.spend_change_usd_per_hour == pytest.approx(1000 * service.replicas * mean)


class _Lost:
    """A tool whose request is lost on its way, and which says so."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool

    def __getattr__(self, name: str) -> object:
        return getattr(self._tool, name)

    async def apply(self, command: Command, *, grant: str) -> EffectReceipt:
        raise OutcomeUnknown("the answer was lost")


async def test_an_effect_that_never_came_is_resolved_although_its_lease_is_renewed_all_the_while(
    tmp_path: Path,
) -> None:
    async with composed(tmp_path) as bench:
        tools = bench.mesh.submission.actions.by_tool
        tools["rollback"] = _Lost(tools["rollback"])  # pyright: ignore[reportArgumentType]
        record = await bench.start(await bench.approved())
        assert isinstance(record, CommandRecord)
        assert record.state is State.UNKNOWN
        for _ in range(7):
            bench.clock.advance(timedelta(seconds=10))
            await bench.mesh.loop.step()
        assert bench.read(record).state is State.FAILED


async def test_an_approval_lapses_when_policy_would_no_longer_take_it_from_that_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy may ask for more than a role on the tenant: the platform's, where tenants share what is touched."""
    async with composed(tmp_path) as bench:
        record = await bench.approved()
        asked: list[str] = []

        def refusing(principal: object, command: Command, facts: object) -> Permission:
            asked.append(getattr(principal, "id", ""))
            return Permission(allowed=False, reasons=("no more",))

        monkeypatch.setattr(bench.mesh.policy, "can_approve", refusing)
        ended = await bench.start(record)
        assert isinstance(ended, CommandRecord)
        assert (ended.state, asked, bench.effects()) == (State.LAPSED, [APPROVER.id], 0)


async def test_another_tenants_flood_hides_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_services, "_SCAN", 1)
    async with composed(tmp_path) as bench:
        first = await bench.proposed()
        await bench.proposed("service.restart")
        behind, reach = CommandsBehind(bench.mesh), APPROVER.reach(READING_ROLES)
        assert behind.find(reach, first.command.id).command.id == first.command.id
        assert behind.view(reach, CommandId(first.command.id)).record.command.id == first.command.id


async def test_two_things_a_person_asks_for_in_one_incident_are_two_commands(tmp_path: Path) -> None:
    """The second came back as the first, as if it had been taken: only an agent's attempt is one proposal."""
    async with composed(tmp_path) as bench:
        asked = proposal_of("service.configure").model_copy(update={"incident": IncidentId("incident-1")})
        other = asked.model_copy(update={"arguments": asked.arguments | {"value": "9000"}})
        records = [await bench.mesh.submission.submit(one) for one in (asked, other)]
        assert [r.command.arguments["value"] for r in records] == ["2500", "9000"]
