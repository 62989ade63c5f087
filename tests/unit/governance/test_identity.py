"""Tokens are shown once and stored as hashes; what does not count is refused without saying why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from domain.errors import Broken, Conflict, Invalid, NotFound, Unauthenticated
from domain.ids import PLATFORM
from domain.principals import EventSourceKey, Principal, RoleGrant
from governance.audit import AuditLog
from governance.keys import KeyRing
from governance.principals import FIRST, Principals, find
from mesh.time import VirtualClock
from storage.engine import Database
from storage.tables.identity import tokens

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DANA = Principal(
    id="dana",
    kind="person",
    name="Dana",
    grants=(
        RoleGrant(role="approver", tenant="acme", environment="prod"),
        RoleGrant(role="viewer", tenant="acme"),
    ),
)
SENSOR = EventSourceKey(id="sensor", source="urn:acme:prod", tenants=("globex", "acme"), trust="untrusted")


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)

    def token_bytes(self, length: int) -> bytes:
        return self._random.randbytes(length)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def audit(database: Database, clock: VirtualClock, tmp_path: Path) -> AuditLog:
    return AuditLog(database, clock, KeyRing(tmp_path / "keys"), tmp_path / "anchor")


@pytest.fixture
def store(database: Database, clock: VirtualClock, audit: AuditLog) -> Principals:
    return Principals(database, audit, clock, SeededEntropy())


def refused(store: Principals, token: str) -> bool:
    with pytest.raises(Unauthenticated) as error:
        store.authenticate(token)
    return (str(error.value), error.value.reason) == ("the token does not count", "unauthenticated")


def test_the_first_start_makes_one_administrator_once(store: Principals) -> None:
    issued = store.bootstrap()
    assert issued is not None
    admin = store.authenticate(issued.token)
    assert isinstance(admin, Principal)
    assert admin.id == FIRST
    assert "admin" in admin.roles_on("acme", "prod")
    assert store.bootstrap() is None


def test_our_own_agents_do_not_stand_in_for_the_first_administrator(store: Principals) -> None:
    store.ensure(Principal(id="sre", kind="agent", name="sre"))
    store.ensure(Principal(id="sre", kind="agent", name="sre"))
    assert store.bootstrap() is not None
    assert store.tokens_of("sre") == ()


@pytest.mark.parametrize("kind", ["person", "service"])
def test_nobody_is_taken_for_a_worker_by_its_name_alone(store: Principals, database: Database, kind: str) -> None:
    planted = Principal(id="worker:cost", kind=kind, name="w", grants=(RoleGrant(role="proposer", tenant="acme"),))
    with database.begin() as connection:
        store._insert_once(connection, planted)
    with pytest.raises(Broken, match="worker:cost") as error:
        store.ensure(planted.model_copy(update={"kind": "agent"}))
    assert error.value.reason == "identity_planted"


def test_a_worker_who_holds_a_token_is_not_ours(store: Principals) -> None:
    worker = Principal(id="worker:cost", kind="agent", name="w")
    store.ensure(worker)
    store.ensure(worker)
    store.issue(worker.id, by=FIRST)
    with pytest.raises(Broken, match="token"):
        store.ensure(worker)


def test_a_worker_with_other_roles_than_its_own_is_not_ours(store: Principals) -> None:
    worker = Principal(id="worker:cost", kind="agent", name="w", grants=(RoleGrant(role="proposer", tenant="*"),))
    store.ensure(worker)
    store.set_grants(worker.id, [], by=FIRST)
    store.ensure(worker)
    store.set_grants(worker.id, [RoleGrant(role="ingest", tenant="acme")], by=FIRST)
    with pytest.raises(Broken, match="roles"):
        store.ensure(worker)


@pytest.mark.parametrize("name", ["agent:sre", "Worker:cost", "service:x", "source:y", "policy", "Clock", "file"])
def test_names_of_the_platform_are_given_to_nobody(store: Principals, name: str) -> None:
    with pytest.raises(Invalid, match="reserved"):
        store.add(DANA.model_copy(update={"id": name}), by=FIRST)
    with pytest.raises(Invalid, match="reserved"):
        store.add_source(SENSOR.model_copy(update={"id": name}), by=FIRST)


def test_a_source_is_not_raised_by_declaring_it_again(store: Principals) -> None:
    token = store.add_source(SENSOR, by=FIRST).token
    raised = SENSOR.model_copy(update={"trust": "platform", "source": "*"})
    for _ in range(2):
        with pytest.raises(Conflict):
            store.add_source(raised, by=FIRST)
        assert [row.trust for row in store.sources()] in ([SENSOR.trust], [])
        store.disable(SENSOR.id, by=FIRST) if store.sources() else None
    assert refused(store, token)


def test_a_principal_comes_back_as_it_was_stored(store: Principals) -> None:
    issued = store.add(DANA, by=FIRST)
    found = store.authenticate(issued.token)
    assert isinstance(found, Principal)
    assert set(found.grants) == set(DANA.grants)
    assert found.model_copy(update={"grants": DANA.grants}) == DANA
    assert store.list() == (found,)


def test_a_source_speaks_for_its_tenants_in_their_order(store: Principals) -> None:
    issued = store.add_source(SENSOR, by=FIRST)
    assert store.authenticate(issued.token) == SENSOR
    assert store.sources() == (SENSOR,)


@pytest.mark.parametrize("tenants", [(), ("*",), ("acme", "*")], ids=["none", "all", "mixed"])
def test_a_source_names_its_tenants(store: Principals, tenants: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        store.add_source(SENSOR.model_copy(update={"tenants": tenants}), by=FIRST)


def test_neither_the_token_nor_its_secret_is_stored(store: Principals, database: Database) -> None:
    issued = store.add(DANA, by=FIRST)
    secret = issued.token.rpartition("_")[2]
    with database.read() as connection:
        rows = connection.execute(select(tokens)).mappings().all()
    assert [row["lookup"] for row in rows] == [issued.lookup]
    assert secret not in repr(rows)
    assert secret.encode() not in bytes(rows[0]["secret_hash"])
    assert issued.token not in repr(issued)


def test_what_does_not_count_is_refused_in_one_voice(store: Principals, clock: VirtualClock) -> None:
    token = store.add(DANA, by=FIRST).token
    other = store.issue("dana", by=FIRST)
    brief = store.issue("dana", by=FIRST, expires_at=START + timedelta(hours=1))
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    mixed = other.token[:20] + token[20:]
    for bad in ("", "Bearer", "ops_", token.upper(), token + " ", wrong, mixed, "ops_" + "0" * 16 + "_" + "A" * 43):
        assert refused(store, bad)
    store.revoke(other.lookup, by=FIRST)
    assert refused(store, other.token)
    assert store.authenticate(brief.token)
    clock.advance(timedelta(hours=1))
    assert refused(store, brief.token)
    assert store.authenticate(token)
    store.disable("dana", by=FIRST)
    assert refused(store, token)


def test_a_disabled_source_is_refused(store: Principals) -> None:
    token = store.add_source(SENSOR, by=FIRST).token
    store.disable("sensor", by=FIRST)
    assert refused(store, token)
    assert store.sources() == ()


def test_ids_are_taken_once_across_principals_and_sources(store: Principals) -> None:
    store.add(DANA, by=FIRST)
    store.add_source(SENSOR, by=FIRST)
    with pytest.raises(Conflict):
        store.add(DANA, by=FIRST)
    with pytest.raises(Conflict):
        store.add(DANA.model_copy(update={"id": "sensor"}), by=FIRST)
    with pytest.raises(Conflict):
        store.add_source(SENSOR, by=FIRST)
    with pytest.raises(Conflict):
        store.add_source(SENSOR.model_copy(update={"id": "dana"}), by=FIRST)


def test_changed_roles_hold_from_the_next_look(store: Principals, database: Database) -> None:
    store.add(DANA, by=FIRST)
    store.set_grants("dana", [RoleGrant(role="viewer", tenant="acme")], by=FIRST)
    with database.read() as connection:
        found = find(connection, "dana")
    assert found is not None
    assert found.roles_on("acme", "prod") == {"viewer"}


def test_an_agent_is_never_given_an_approving_role(store: Principals) -> None:
    store.ensure(Principal(id="sre", kind="agent", name="sre"))
    with pytest.raises(Invalid):
        store.set_grants("sre", [RoleGrant(role="approver", tenant="acme")], by=FIRST)
    assert store.get("sre").grants == ()


def test_unknown_ids_are_not_found(store: Principals) -> None:
    for call in (
        lambda: store.get("nobody"),
        lambda: store.disable("nobody", by=FIRST),
        lambda: store.issue("nobody", by=FIRST),
        lambda: store.revoke("0" * 16, by=FIRST),
        lambda: store.set_grants("nobody", [], by=FIRST),
    ):
        with pytest.raises(NotFound):
            call()


def test_every_change_of_identity_is_audited_with_its_actor(store: Principals, audit: AuditLog) -> None:
    store.add(DANA, by=FIRST)
    store.set_grants("dana", [], by=FIRST)
    store.disable("dana", by="dana")
    lines = [(line.record.action, line.record.actor) for line in audit.read(PLATFORM)]
    assert lines == [
        ("principal.added", FIRST),
        ("token.issued", FIRST),
        ("principal.grants_set", FIRST),
        ("principal.disabled", "dana"),
    ]
