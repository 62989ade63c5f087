"""Any decision can be made again from the archive alone, and a changed archive is noticed."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from domain.errors import Broken, NotFound
from governance.policy import PolicySet
from governance.policy_archive import keep, replay, stored_policies
from storage.engine import Database
from storage.tables.policy import facts_snapshots, policy_sets
from tests.unit.governance.policy_goldens import COMMAND, FACTS, GOLDENS, facts, subject

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICIES = PolicySet.load()


def test_golden_decisions_replay_equal(database: Database) -> None:
    made = []
    with database.begin() as connection:
        for row in GOLDENS[::7]:
            snapshot = facts(**row.changes)
            what = subject(snapshot)
            snapshot = snapshot.model_copy(update={"command": what.digest})
            keep(connection, POLICIES, snapshot, AT)
            made.append((what, POLICIES.decide(what, snapshot)))
    with database.read() as connection:
        for what, decision in made:
            again = replay(connection, what, decision)
            assert again.same
            assert again.again.effect == decision.effect


def test_old_decisions_replay_under_the_policies_of_their_day(database: Database) -> None:
    strict = PolicySet(
        {**POLICIES.files, "z.cedar": '@id("z") @reason("no") forbid(principal, action, resource);'}, POLICIES.schema
    )
    with database.begin() as connection:
        for policies in (strict, POLICIES):
            keep(connection, policies, FACTS, AT)
    with database.read() as connection:
        for policies, effect in ((strict, "deny"), (POLICIES, "allow")):
            again = replay(connection, COMMAND, policies.decide(COMMAND, FACTS))
            assert again.same
            assert again.again.effect == effect


def test_a_changed_archive_is_broken_not_believed(database: Database) -> None:
    decision = POLICIES.decide(COMMAND, FACTS)
    with database.begin() as connection:
        keep(connection, POLICIES, FACTS, AT)
        body = {**FACTS.model_dump(mode="json"), "quota_ok": False}
        connection.execute(update(facts_snapshots).values(body=body))
    with database.read() as connection, pytest.raises(Broken):
        replay(connection, COMMAND, decision)
    with database.begin() as connection:
        files = {name: text + " " for name, text in POLICIES.files.items()}
        connection.execute(update(policy_sets).values(body={"files": files, "schema_text": POLICIES.schema}))
    with database.read() as connection, pytest.raises(Broken):
        stored_policies(connection, POLICIES.digest)


def test_what_was_never_kept_is_not_found(database: Database) -> None:
    with database.read() as connection, pytest.raises(NotFound):
        replay(connection, COMMAND, POLICIES.decide(COMMAND, FACTS))


def test_another_tenant_does_not_read_the_facts(database: Database) -> None:
    with database.begin() as connection:
        keep(connection, POLICIES, FACTS, AT)
    stranger = COMMAND.model_copy(update={"tenant": "globex"})
    with database.read() as connection, pytest.raises(NotFound):
        replay(connection, stranger, POLICIES.decide(COMMAND, FACTS))
