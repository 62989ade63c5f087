"""A key means one request of one caller; its answer is told again to the token that got it, and to nobody else."""

import pytest
from sqlalchemy import select

from domain.base import digest_of
from domain.errors import Conflict
from domain.idempotency import KeptAnswer, KeyClaim
from domain.ids import PrincipalId
from governance.kept_answers import KeptAnswers
from mesh.time import VirtualClock
from storage.engine import Database
from storage.tables.answers import kept_answers
from tests.intake import NOW

ANSWER = KeptAnswer(status=201, headers={"content-type": "application/json"}, body='{"token":"ops_secret"}')


def claim(holder="person:ann", key="k", what="a", secret="ops_ann"):
    return KeyClaim(holder=PrincipalId(holder), key=key, request=digest_of(what), secret=secret)


@pytest.fixture
def kept(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'kept.db'}")
    database.create()
    yield KeptAnswers(database, VirtualClock(NOW)), database
    database.close()


def reason(kept, asked):
    with pytest.raises(Conflict) as told:
        kept.claim(asked)
    return told.value.reason


def test_the_same_request_gets_the_same_answer(kept):
    answers, _ = kept
    assert answers.claim(claim()) is None
    answers.keep(claim(), ANSWER)
    assert answers.claim(claim()) == ANSWER
    assert reason(answers, claim(what="b")) == "key_reused"


def test_a_key_is_its_callers_own(kept):
    answers, _ = kept
    answers.claim(claim())
    answers.keep(claim(), ANSWER)
    assert answers.claim(claim(holder="person:bob", what="b")) is None


def test_what_ended_unheard_is_not_done_again(kept):
    answers, _ = kept
    answers.claim(claim())
    assert reason(answers, claim()) == "key_open"
    answers.release(claim())
    assert answers.claim(claim()) is None


def test_a_kept_answer_can_be_read_with_the_callers_token_only(kept):
    answers, database = kept
    answers.claim(claim())
    answers.keep(claim(), ANSWER)
    with database.read() as connection:
        row = connection.execute(select(kept_answers)).one()
    assert b"ops_secret" not in bytes(row.sealed)
    assert reason(answers, claim(secret="ops_other")) == "key_sealed"
    answers.release(claim())
    assert answers.claim(claim()) == ANSWER, "what was answered stays"
