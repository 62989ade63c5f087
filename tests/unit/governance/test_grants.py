"""Grants: bound to everything, once per claim, never after a stop, dead before anybody takes the command over."""

from datetime import timedelta

import jwt
import pytest

from domain.changes import preview_digest
from domain.commands import State
from domain.decisions import GrantClaims, KillSwitch
from domain.errors import Conflict, Refused
from domain.ids import PrincipalId
from tests.support.governed import ACME, WORKER, GovernedPath

OPTIONS = {"verify_exp": False, "verify_iat": False}


def read(path: GovernedPath, token: str) -> GrantClaims:
    key = path.governed.grants.public_key_pem
    payload = jwt.decode(token, key, algorithms=["EdDSA"], audience="runtime", issuer="opsmesh", options=OPTIONS)
    return GrantClaims.model_validate({name: payload[name] for name in GrantClaims.model_fields})


def issue(path: GovernedPath, record, **changed) -> str:
    return path.governed.grants.issue(ACME, record.command.id, **{"fencing": record.fencing, **changed})


def test_a_grant_says_exactly_what_was_decided(path: GovernedPath) -> None:
    record = path.executing()
    claims, command = read(path, issue(path, record)), record.command
    assert (claims.command, claims.digest, claims.fencing) == (command.id, record.digest, record.fencing)
    assert claims.preview_digest == preview_digest(command.preview)
    assert (claims.tenant, claims.environment) == (command.tenant, command.environment)
    assert claims.idempotency_key == command.idempotency_key
    assert path.clock.now() < claims.expires_at <= record.lease_until
    last = path.governed.audit.read(ACME, subject=command.id)[-1]
    assert (last.record.action, last.record.actor, last.body["jti"]) == ("grant.issued", WORKER, claims.jti)


def test_a_tampered_grant_does_not_verify(path: GovernedPath) -> None:
    head, body, signature = issue(path, path.executing()).split(".")
    other = issue(path, path.executing("cart")).split(".")[1]
    assert body != other
    with pytest.raises(jwt.InvalidSignatureError):
        read(path, f"{head}.{other}.{signature}")


def test_one_grant_per_claim(path: GovernedPath) -> None:
    record = path.executing()
    issue(path, record)
    with pytest.raises(Refused) as caught:
        issue(path, record)
    assert caught.value.reason == "grant_used"


def test_no_grant_without_a_live_claim(path: GovernedPath) -> None:
    def reason(record, **changed):
        with pytest.raises(Refused) as caught:
            issue(path, record, **changed)
        return caught.value.reason

    running, waiting = path.executing(), path.decided("allow", "cart")
    assert reason(running, fencing=running.fencing + 1) == "fenced"
    assert reason(waiting, fencing=1) == "fenced"
    assert reason(path.reach(State.EXECUTED, "auth")) == "not_executing"
    path.clock.advance(timedelta(seconds=60))
    assert reason(running) == "lease_ended"


def test_no_grant_once_a_kill_switch_has_answered_though_the_claim_came_before(path: GovernedPath) -> None:
    record = path.executing()
    switch = KillSwitch(scope="global", engaged_by=PrincipalId("eve"), at=path.clock.now(), reason="stop")
    flying = path.governed.switches.engage(switch)
    assert [r.command.id for r in flying] == [record.command.id]
    with pytest.raises(Refused) as caught:
        issue(path, record)
    assert caught.value.reason == "kill_switch"


def test_a_stale_worker_is_refused_everywhere_after_a_take_over(path: GovernedPath) -> None:
    go, record = path.governed.executions, path.executing()
    claims = read(path, issue(path, record))
    with pytest.raises(Conflict):
        go.take_over(ACME, record.command.id, worker=PrincipalId("worker-2"), lease_s=60)
    path.clock.advance(timedelta(seconds=60))
    assert [r.command.id for r in go.stuck("*")] == [record.command.id]
    taken = go.take_over(ACME, record.command.id, worker=PrincipalId("worker-2"), lease_s=60)
    assert (taken.state, taken.fencing > record.fencing) == (State.UNKNOWN, True)
    assert claims.expires_at <= path.clock.now(), "the old grant is dead before anybody asks the target"
    place, stale = (ACME, record.command.id), path.held(record)
    for call in (
        lambda: go.renew(*place, fencing=record.fencing, lease_s=9),
        lambda: go.record_effect(*place, **stale, receipt=path.receipt(record)),
        lambda: go.fail(*place, **stale, reason="late"),
        lambda: go.to_unknown(*place, **stale, reason="late"),
        lambda: issue(path, record),
    ):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.reason == "fenced"
    new = {"fencing": taken.fencing, "worker": PrincipalId("worker-2")}
    assert go.record_effect(*place, **new, receipt=path.receipt(record, "unknown")).state is State.UNKNOWN
    assert go.record_effect(*place, **new, receipt=path.receipt(record)).state is State.EXECUTED


def test_a_renewed_lease_keeps_a_slow_worker_in_hold_and_a_late_one_loses_it(path: GovernedPath) -> None:
    go, record = path.governed.executions, path.executing()
    path.clock.advance(timedelta(seconds=50))
    renewed = go.renew(ACME, record.command.id, fencing=record.fencing, lease_s=60)
    path.clock.advance(timedelta(seconds=50))
    assert go.stuck("*") == ()
    path.clock.advance(timedelta(seconds=10))
    with pytest.raises(Refused) as caught:
        go.renew(ACME, record.command.id, fencing=renewed.fencing, lease_s=60)
    assert caught.value.reason == "lease_ended"


def test_fencing_numbers_only_grow(path: GovernedPath) -> None:
    numbers = [path.executing(name).fencing for name in ("a", "b", "c")]
    assert numbers == sorted(set(numbers))
