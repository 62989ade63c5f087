"""Rows that are shown by people at the door: a write over HTTP waits in the queue, is answered, and then takes effect.

All that is asked, approved and read goes over the same HTTP as anybody's; nothing reaches past it.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
from pydantic import JsonValue

from domain.errors import Broken
from domain.ids import PrincipalId, TenantId
from domain.principals import Principal, Role, RoleGrant
from evals.service_cases import Case, Check, Measured
from evals.services.recovery_place import patched
from governance.ballots import Ballots
from grounding.vectors import MemoryVectors
from mesh.composition import Mesh
from mesh.embedded import EmbeddedRuntime
from mesh.internal import MESH
from mesh.serving import LOCAL_URL, application
from mesh.simulation import Choices, SimulatedMesh, open_simulated
from runtime.simulator.demo import demo_world
from runtime.targets.simulated import SimulatedTarget

OWNER, SERVICE = TenantId("acme-retail"), "checkout"
ROLES: Mapping[str, tuple[Role, ...]] = {
    "pat": ("viewer", "proposer", "approver"), "ann": ("viewer", "approver"), "bob": ("viewer", "approver"),
    "vic": ("viewer",),
}  # fmt: skip
"""Pat proposes, and would like to approve that too; Ann and Bob may; Vic only looks."""
POLICIES, POINTS, RESTORES = "/runtime/traffic-policies", "/runtime/restore-points", "/runtime/restores"
WEIGHTS = {"westeurope": 0.7, "northeurope": 0.3}
POLICY_BODY: dict[str, JsonValue] = {
    "environment": "prod", "service": SERVICE, "policy": {"region_weights": dict(WEIGHTS)}, "rationale": "less there",
}  # fmt: skip
POINT_BODY: dict[str, JsonValue] = {"environment": "prod", "tenant": OWNER}
WAITED, CARRIED_OUT = timedelta(minutes=10), timedelta(minutes=15)
"""Longer than any loop needs to do what it should not; and longer than a watch of ten minutes takes."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A running mesh, and people who ask it over HTTP."""

    held: SimulatedMesh
    http: httpx.AsyncClient
    tokens: Mapping[str, str]
    found: dict[str, float] = field(default_factory=dict[str, float])

    async def ask(self, who: str, method: str, path: str, body: JsonValue = None) -> httpx.Response:
        """Return the answer to one person."""
        bearer = {"Authorization": f"Bearer {self.tokens[who]}"}
        return await self.http.request(method, path, json=body, headers=bearer)

    async def see(self, path: str) -> JsonValue:
        """Return what the one who only looks is shown."""
        found: JsonValue = (await self.ask("vic", "GET", path)).raise_for_status().json()
        return found

    async def live(self, lasts: timedelta) -> None:
        """Let time pass."""
        await self.held.simulation.run(self.held.world.now + lasts)

    async def proposed(self, path: str, body: JsonValue) -> str:
        """Write without a grant; return the address of what that became, nothing where it took effect at once."""
        answer = await self.ask("pat", "POST", path, body)
        return answer.headers.get("Location", "") if answer.status_code == 202 else ""

    async def approve(self, who: str, place: str, digest: str = "") -> int:
        """Approve what a card shows, or what another digest stands for; return the status."""
        record = (await self.ask(who, "GET", place)).json().get("record", {})
        named = digest or record.get("digest", "")
        return (await self.ask(who, "POST", f"{place}/approve", {"digest": named})).status_code

    async def state(self, place: str) -> str:
        """Return where a command stands."""
        return str((await self.ask("vic", "GET", place)).json().get("record", {}).get("state", ""))

    async def weights(self) -> JsonValue:
        """Return where the target leads the service's requests now."""
        live = (await self.ask("vic", "GET", "/runtime/environments/prod/live-state")).json()
        found: JsonValue = live["services"][SERVICE]["traffic"]["region_weights"]
        return found

    async def points(self) -> list[str]:
        """Return the restore points that are listed."""
        return [p["id"] for p in (await self.ask("vic", "GET", f"{POINTS}?environment=prod")).json()]

    async def operation(self, place: str) -> dict[str, JsonValue]:
        """Return how far the operation of a command has come."""
        audit = (await self.ask("vic", "GET", place)).json()["audit"]
        receipts = [line["body"]["receipt"] for line in audit if line["action"] == "command.executed"]
        if not receipts or not receipts[0]["operation"]:
            return {}
        path = f"/runtime/environments/prod/operations/{receipts[0]['operation']}"
        progress: dict[str, JsonValue] = (await self.ask("vic", "GET", path)).json()["progress"]
        return progress


def embedded(mesh: Mesh) -> EmbeddedRuntime:
    """Return the runtime in this process, which a simulated mesh has."""
    if not isinstance(mesh.runtime, EmbeddedRuntime):
        raise Broken("a simulated mesh has its runtime in this process")
    return mesh.runtime


@asynccontextmanager
async def desk(home: Path) -> AsyncGenerator[Desk]:
    """Open the demo world with its loop and the people."""
    choices = Choices(vectors=MemoryVectors(), loops=("backup", "traffic"), warm_up=timedelta(minutes=30))
    held = await open_simulated(home, demo_world(), 7, choices)
    tokens = {name: held.mesh.principals.add(_person(name), by=MESH.id).token for name in ROLES}
    transport = httpx.ASGITransport(app=application(held.mesh))
    try:
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL_URL) as http:
            at = Desk(held, http, tokens)
            await at.live(timedelta(minutes=1))
            yield at
    finally:
        await held.mesh.close()


def _person(name: str) -> Principal:
    grants = tuple(RoleGrant(role=role, tenant=OWNER) for role in ROLES[name])
    return Principal(id=PrincipalId(f"person:{name}"), kind="person", name=name.title(), grants=grants)


def _measured(**found: tuple[float, float]) -> Measured:
    """Return checks by name: what was found, and what it must be."""
    checks = tuple(
        Check(name=name.replace("_", " "), value=value, bound=bound) for name, (value, bound) in found.items()
    )
    return Measured(checks=checks, figures={}, reference="what the owner reads over HTTP before and after the answer")


async def _queue(_seed: int, home: Path) -> Measured:
    async with desk(home) as at:
        before, place = await at.weights(), await at.proposed(POLICIES, POLICY_BODY)
        await at.live(WAITED)
        waiting = await at.state(place) == "AWAITING_APPROVAL"
        wrong = [
            await at.approve("vic", place), await at.approve("pat", place),
            await at.approve("ann", place, f"sha256:{'0' * 64}"),
        ]  # fmt: skip
        await at.live(WAITED)
        early = await at.weights() != before
        await at.approve("ann", place)
        await at.live(CARRIED_OUT)
        record = (await at.ask("vic", "GET", place)).json()["record"]
        return _measured(
            waits_in_the_queue=(waiting, 1), wrong_answers_refused=(sum(s == 403 for s in wrong), 3),
            effects_before_the_answer=(early, 0), effects_after_the_answer=(await at.weights() == WEIGHTS, 1),
            answered_by_a_named_person=(record["decided_by"] == "person:ann", 1),
        )  # fmt: skip


def _nothing(*_said: object) -> None:
    """Refuse nothing."""


async def _queue_of_friends(seed: int, home: Path) -> Measured:
    with patched(Ballots, "_refusal", _nothing):
        return await _queue(seed, home)


async def _traffic(_seed: int, home: Path) -> Measured:
    async with desk(home) as at:
        before = await at.weights()
        shown = await at.ask("pat", "POST", f"{POLICIES}?dryRun=true", POLICY_BODY)
        previewed = shown.status_code == 200 and len(shown.json().get("changes", ())) == len(WEIGHTS)
        recorded = len((await at.ask("vic", "GET", "/v1/commands")).json())
        place = await at.proposed(POLICIES, POLICY_BODY)
        early = await at.weights() != before
        await at.live(timedelta(minutes=1))
        await at.approve("ann", place)
        await at.live(CARRIED_OUT)
        return _measured(
            previewed_without_a_command=(previewed and not recorded, 1), proposed_without_a_grant=(bool(place), 1),
            effects_before_approval=(early, 0), policy_in_force_after_approval=(await at.weights() == WEIGHTS, 1),
            command_succeeded=(await at.state(place) == "SUCCEEDED", 1),
        )  # fmt: skip


async def _idle(*_said: object, **_named: object) -> None:
    """Do nothing."""


async def _deaf(seed: int, home: Path) -> Measured:
    with patched(SimulatedTarget, "apply", _idle):
        return await _traffic(seed, home)


async def _restored(_seed: int, home: Path, *, alone: bool = False) -> Measured:
    """Take a point, restore the tenant from it for real: that is high risk, and two people decide."""
    async with desk(home) as at:
        held = await at.points()
        shown = await at.ask("pat", "POST", f"{POINTS}?dryRun=true", POINT_BODY)
        place = await at.proposed(POINTS, POINT_BODY)
        await at.live(timedelta(minutes=1))
        early = await at.points() != held
        await at.approve("ann", place)
        await at.live(CARRIED_OUT)
        taken = [point for point in await at.points() if point not in held]
        restore = await at.proposed(RESTORES, POINT_BODY | {"restore_point": (*taken, "none")[0], "drill": False})
        await at.live(timedelta(minutes=1))
        await at.approve("ann", restore)
        waits = await at.state(restore) == "AWAITING_APPROVAL"
        if not alone:
            await at.approve("bob", restore)
        await at.live(CARRIED_OUT)
        done = [await at.operation(one) for one in (place, restore)]
        return _measured(
            previewed=(shown.status_code == 200, 1), points_before_approval=(early, 0),
            points_after_approval=(len(taken), 1), one_of_two_approvals_restores_nothing=(waits, 1),
            operations_done_in_full=(sum((p.get("status"), p.get("fraction")) == ("done", 1.0) for p in done), 2),
        )  # fmt: skip


async def _alone(seed: int, home: Path) -> Measured:
    return await _restored(seed, home, alone=True)


QUEUE = Case(
    "queue", "status", "a command waits until a named person approves it", _queue, _queue_of_friends,
    "nobody looks at who approves, and what the card said",
)  # fmt: skip
TRAFFIC = Case(
    "api-traffic", "status", "a traffic policy over HTTP: previewed, proposed, approved, in force", _traffic,
    _deaf, "the target takes no notice of what is applied",
)  # fmt: skip
RESTORE = Case(
    "api-restore", "status", "a restore point and a restore over HTTP, by two people, followed to the end", _restored,
    _alone, "only one of two people approves the restore",
)  # fmt: skip
