"""The audit under attack: by somebody who may rewrite the whole database, but holds neither keys nor anchor."""

import stat
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from domain.errors import Broken
from domain.ids import PrincipalId, TenantId
from governance.audit import AuditEntry, AuditLog
from governance.keys import KeyRing
from governance.verification import verify
from storage.engine import Database
from storage.tables.governance import audit_bodies, audit_chains, audit_checkpoints, audit_keys, audit_records
from tests.support.governed import ACME, GovernedPath

GLOBEX = TenantId("globex")
ANN = PrincipalId("ann")


def write(path: GovernedPath, count: int, tenant: TenantId = ACME) -> None:
    for number in range(count):
        entry = AuditEntry(tenant=tenant, action="test.done", subject=f"s{number}", actor=ANN, body={"number": number})
        with path.database.begin() as connection:
            path.governed.audit.append(connection, entry)


def kinds(path: GovernedPath, tenant: TenantId | None = None) -> set[str]:
    return {flaw.kind for flaw in verify(path.database, path.governed.audit, tenant).flaws}


@pytest.fixture
def anchored(path: GovernedPath) -> GovernedPath:
    """Two tenants, six records each, the first four of them anchored."""
    for tenant in (ACME, GLOBEX):
        write(path, 4, tenant)
    path.governed.audit.checkpoint()
    for tenant in (ACME, GLOBEX):
        write(path, 2, tenant)
    return path


def at(seq: int, tenant: TenantId = ACME, table=audit_records):
    return (table.c.tenant == tenant) & (table.c.seq == seq)


def attack(path: GovernedPath, *statements) -> None:
    with path.database.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def test_an_untouched_audit_verifies_and_says_what_is_not_anchored(anchored: GovernedPath) -> None:
    report = verify(anchored.database, anchored.governed.audit)
    assert (report.ok, report.records, report.unanchored, report.tenants) == (True, 12, 4, (ACME, GLOBEX))
    assert report.records_per_s > 0


@pytest.mark.parametrize("field", ["action", "subject", "actor", "body_digest"])
def test_an_edit_is_found(anchored: GovernedPath, field) -> None:
    attack(anchored, update(audit_records).where(at(6)).values({field: "forged"}))
    assert "edited" in kinds(anchored)


def test_an_edited_instant_is_found(anchored: GovernedPath) -> None:
    later = anchored.clock.now() + timedelta(seconds=1)
    attack(anchored, update(audit_records).where(at(2)).values(at=later))
    assert kinds(anchored) == {"edited"}


def test_a_removed_record_is_found(anchored: GovernedPath) -> None:
    attack(anchored, delete(audit_records).where(at(3)))
    assert "missing" in kinds(anchored)


def test_a_removed_record_with_the_rest_renumbered_is_found(anchored: GovernedPath) -> None:
    attack(
        anchored,
        delete(audit_records).where(at(5)),
        delete(audit_bodies).where(at(5, table=audit_bodies)),
        update(audit_records).where(at(6)).values(seq=5),
        update(audit_bodies).where(at(6, table=audit_bodies)).values(seq=5),
    )
    assert {"edited", "unlinked"} <= kinds(anchored)


def test_two_records_in_each_others_place_are_found(anchored: GovernedPath) -> None:
    for table in (audit_records, audit_bodies):
        for old, new in ((5, 99), (6, 5), (99, 6)):
            attack(anchored, update(table).where(at(old, table=table)).values(seq=new))
    assert "unlinked" in kinds(anchored)


def test_a_tail_cut_behind_the_last_anchor_is_found(anchored: GovernedPath) -> None:
    with anchored.database.read() as connection:
        third = connection.execute(select(audit_records.c.digest).where(at(3))).scalar_one()
    attack(
        anchored,
        *(delete(t).where((t.c.tenant == ACME) & (t.c.seq > 3)) for t in (audit_records, audit_bodies)),
        delete(audit_checkpoints),
        update(audit_chains).where(audit_chains.c.tenant == ACME).values(seq=3, digest=third),
    )
    assert kinds(anchored) == {"truncated"}
    assert kinds(anchored, GLOBEX) == set()


def test_a_chain_removed_whole_is_found(anchored: GovernedPath) -> None:
    tables = (audit_records, audit_bodies, audit_checkpoints, audit_chains, audit_keys)
    attack(anchored, *(delete(table).where(table.c.tenant == ACME) for table in tables))
    report = verify(anchored.database, anchored.governed.audit)
    assert {(flaw.tenant, flaw.kind) for flaw in report.flaws} >= {(ACME, "truncated")}


def test_swapped_tenants_are_found(anchored: GovernedPath) -> None:
    for table in (audit_records, audit_bodies, audit_chains, audit_keys):
        for old, new in ((ACME, "x"), (GLOBEX, ACME), ("x", GLOBEX)):
            attack(anchored, update(table).where(table.c.tenant == old).values(tenant=new))
    assert "edited" in kinds(anchored, ACME)
    assert "edited" in kinds(anchored, GLOBEX)


def test_a_chain_rebuilt_whole_with_other_keys_is_found(anchored: GovernedPath, tmp_path) -> None:
    """The attacker runs our own code over a forged story, with keys made for it."""
    tables = (audit_records, audit_bodies, audit_checkpoints, audit_chains, audit_keys)
    attack(anchored, *(delete(table) for table in tables))
    forger = AuditLog(anchored.database, anchored.clock, KeyRing(tmp_path / "forged"), tmp_path / "forged.jsonl")
    for number in range(6):
        entry = AuditEntry(tenant=ACME, action="test.forged", subject=f"s{number}", actor=ANN)
        with anchored.database.begin() as connection:
            forger.append(connection, entry)
    forger.checkpoint()
    assert verify(anchored.database, forger).ok, "the forgery is consistent in itself"
    assert {"edited", "anchor", "truncated", "key"} & kinds(anchored) >= {"edited", "anchor"}


def test_a_record_added_without_the_key_is_found(anchored: GovernedPath) -> None:
    with anchored.database.read() as connection:
        last = dict(connection.execute(select(audit_records).where(at(6))).mappings().one())
        body = dict(connection.execute(select(audit_bodies).where(at(6, table=audit_bodies))).mappings().one())
    digest = "sha256:" + "a" * 64
    attack(
        anchored,
        insert(audit_records).values({**last, "seq": 7, "previous": last["digest"], "digest": digest}),
        insert(audit_bodies).values({**body, "seq": 7}),
        update(audit_chains).where(audit_chains.c.tenant == ACME).values(seq=7, digest=digest),
    )
    assert {"edited", "text"} <= kinds(anchored)


def test_a_changed_moved_or_removed_text_is_found(anchored: GovernedPath) -> None:
    with anchored.database.read() as connection:
        other = connection.execute(select(audit_bodies.c.sealed).where(at(1, table=audit_bodies))).scalar_one()
    attack(anchored, update(audit_bodies).where(at(2, table=audit_bodies)).values(sealed=other))
    assert kinds(anchored) == {"text"}
    attack(anchored, delete(audit_bodies).where(at(2, table=audit_bodies)))
    assert kinds(anchored) == {"text"}


def test_texts_are_not_readable_in_the_database(path: GovernedPath) -> None:
    entry = AuditEntry(tenant=ACME, action="test.done", subject="s", actor=ANN, body={"note": "a telling word"})
    with path.database.begin() as connection:
        path.governed.audit.append(connection, entry)
        rows = [
            str(dict(row)) for t in (audit_records, audit_bodies) for row in connection.execute(select(t)).mappings()
        ]
    assert not any("telling" in row for row in rows)
    assert path.governed.audit.read(ACME)[0].body == {"note": "a telling word"}


def test_erasing_a_tenants_texts_leaves_its_chain_verifiable(anchored: GovernedPath) -> None:
    audit = anchored.governed.audit
    audit.shred(ACME, ANN, "the tenant left")
    write(anchored, 1)
    report = verify(anchored.database, audit)
    assert (report.ok, report.erased_texts) == (True, 6)
    lines = audit.read(ACME)
    assert [line.body for line in lines[:6]] == [None] * 6
    assert lines[6].body == {"reason": "the tenant left"}
    assert lines[7].body == {"number": 0}
    assert all(line.body is not None for line in audit.read(GLOBEX))


def test_an_erasure_that_nobody_recorded_is_found(anchored: GovernedPath) -> None:
    attack(anchored, update(audit_keys).where(audit_keys.c.tenant == ACME).values(wrapped=None))
    assert kinds(anchored) == {"key"}


def test_a_lost_anchor_is_found(anchored: GovernedPath) -> None:
    (anchored.folder / "anchor.jsonl").unlink()
    assert kinds(anchored) == {"anchor"}


def test_a_forged_anchor_line_is_found_and_a_torn_one_is_told(anchored: GovernedPath) -> None:
    file = anchored.folder / "anchor.jsonl"
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[0][:40])
    write(anchored, 1)
    anchored.governed.audit.checkpoint()
    report = verify(anchored.database, anchored.governed.audit)
    assert (report.ok, report.torn_anchor_lines, report.unanchored) == (True, 1, 0)
    file.write_text(whole.replace('"seq": 4', '"seq": 3'))
    assert "signature" in kinds(anchored)


def test_a_checkpoint_is_made_once_for_a_chain_that_did_not_grow(anchored: GovernedPath) -> None:
    assert len(anchored.governed.audit.checkpoint()) == 2
    assert anchored.governed.audit.checkpoint() == ()


def test_keys_are_private_stable_and_refused_when_exposed(tmp_path) -> None:
    ring = KeyRing(tmp_path / "keys")
    one = ring.signing_key("grants").private_bytes_raw()
    assert KeyRing(tmp_path / "keys").signing_key("grants").private_bytes_raw() == one
    assert ring.derived("a") != ring.derived("b")
    files = list((tmp_path / "keys").iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    (tmp_path / "keys" / "grants.ed25519").chmod(0o640)
    with pytest.raises(Broken, match="readable by others"):
        ring.signing_key("grants")
    (tmp_path / "keys" / "master.key").write_bytes(b"short")
    with pytest.raises(Broken, match="5 bytes"):
        ring.derived("a")


def test_a_rolled_back_append_leaves_no_gap(path: GovernedPath, database: Database) -> None:
    write(path, 1)
    entry = AuditEntry(tenant=ACME, action="test.lost", subject="s", actor=ANN)
    with pytest.raises(KeyError), database.begin() as connection:  # noqa: PT012  # the raise is the point
        path.governed.audit.append(connection, entry)
        raise KeyError
    write(path, 1)
    assert verify(database, path.governed.audit).ok
    assert [line.record.seq for line in path.governed.audit.read(ACME)] == [1, 2]
