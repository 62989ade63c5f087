import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents import AGENTS, run
from agents.llm import OpenAIChat
from agents.masking import masked
from agents.reasoner import ModelReasoner, apply, question
from agents.skeleton import MAX_REHEARSED
from agents.spec import Candidate
from agents.sre.diagnose import diagnose
from agents.sre.remedies import remedies
from domain.errors import Broken, Unavailable
from domain.evidence import Diagnosis
from domain.topology import EntityRef
from tests.unit.agents.builders import PackMaker, slow_release, surge

SRE = AGENTS[0]
HOST = "models.example"


class Parrot:
    """A model that answers what it was told to, or fails."""

    def __init__(self, answer: str | None, host: str = HOST) -> None:
        self.answer, self.host = answer, host
        self.asked: list[str] = []

    async def ask(self, instructions: str, question: str) -> str:
        self.asked.append(question)
        if self.answer is None:
            raise Unavailable("no answer")
        return self.answer


def lasting_surge() -> PackMaker:
    maker = surge(12)
    maker.endpoints = (HOST,)
    return maker


def material() -> tuple[Diagnosis, tuple[Candidate, ...]]:
    pack = lasting_surge().build()
    diagnosis = diagnose(pack)
    return diagnosis, remedies(pack, diagnosis, 1).candidates


DIAGNOSIS, CANDIDATES = material()
NUMBERS = st.one_of(st.integers(-5, 10), st.floats(), st.text(max_size=5), st.none(), st.booleans())
HOSTILE = st.one_of(
    st.text(),
    st.binary().map(lambda b: b.decode("utf-8", "replace")),
    st.fixed_dictionaries(
        {
            "order": st.lists(NUMBERS, max_size=8),
            "confidence": st.dictionaries(st.text(max_size=3) | st.integers(-1, 9).map(str), NUMBERS, max_size=5),
            "explanation": st.text(max_size=5000),
        }
    ).map(json.dumps),
    st.fixed_dictionaries(
        {
            "order": st.permutations([0, 1, 2]),
            "confidence": st.dictionaries(st.integers(0, 3).map(str), st.floats(0, 1), max_size=4),
            "explanation": st.text(max_size=50),
        }
    ).map(json.dumps),
    st.just('{"order": [0], "candidates": [{"kind": "region.failover"}]}'),
    st.just("[" * 100_000),
)


def what(candidate: Candidate) -> str:
    return json.dumps([candidate.proposal.kind, candidate.proposal.target.address, candidate.proposal.arguments])


@given(HOSTILE)
def test_any_output_leaves_the_codes_candidates_and_no_more_confidence(answer: str):
    diagnosis, candidates, explanation = apply(answer, DIAGNOSIS, CANDIDATES)
    assert sorted(map(what, candidates)) == sorted(map(what, CANDIDATES))
    assert [h.entity for h in diagnosis.hypotheses] == [h.entity for h in DIAGNOSIS.hypotheses]
    for after, before in zip(diagnosis.hypotheses, DIAGNOSIS.hypotheses, strict=True):
        assert after.confidence <= before.confidence
    by_command = {what(c): c.proposal.confidence for c in CANDIDATES}
    assert all(c.proposal.confidence <= by_command[what(c)] for c in candidates)
    assert len(explanation) <= 1300


def wider(candidate: Candidate, radius: int, service: str) -> Candidate:
    named = candidate.proposal.model_copy(update={"target": EntityRef(kind="service", id=service)})
    return replace(candidate, proposal=named, blast_radius=radius)


MIXED = (wider(CANDIDATES[0], 2, "a"), wider(CANDIDATES[0], 5, "b"), wider(CANDIDATES[0], 1, "c"))


@given(HOSTILE)
@example(json.dumps({"order": [1, 0, 2]}))
@example(json.dumps({"order": [2, 1, 0]}))
def test_no_output_puts_a_bolder_command_ahead(answer: str):
    _, candidates, _ = apply(answer, DIAGNOSIS, MIXED)
    place = {what(c): n for n, c in enumerate(MIXED)}
    for n, first in enumerate(candidates):
        for second in candidates[n + 1 :]:
            if place[what(first)] > place[what(second)]:
                assert first.blast_radius <= second.blast_radius


def test_a_model_may_reorder_equals_lower_confidence_and_explain():
    twins = (CANDIDATES[0], CANDIDATES[0].__class__(CANDIDATES[-1].proposal, "other", 0.1, CANDIDATES[0].blast_radius))
    answer = json.dumps({"order": [1, 0], "confidence": {"0": 0.1}, "explanation": "because"})
    diagnosis, candidates, explanation = apply(answer, DIAGNOSIS, twins)
    assert [what(c) for c in candidates] == [what(twins[1]), what(twins[0])]
    assert diagnosis.hypotheses[0].confidence == 0.1
    assert candidates[1].proposal.confidence < twins[0].proposal.confidence
    assert explanation == "because"


async def test_a_run_with_a_hostile_model_ends_as_without_one():
    maker = lasting_surge()
    alone = await run(SRE, maker.build())
    for answer in ("", "rm -rf /", '{"order": [99, -1, 1], "explanation": "\\u0000run it"}', None):
        advised = await run(SRE, maker.build(), reasoner=ModelReasoner(Parrot(answer)))
        assert {(p.kind, p.target.address) for p in advised.proposals} <= {
            (r.candidate.proposal.kind, r.candidate.proposal.target.address) for r in alone.considered
        }
        assert advised.ending == alone.ending


async def test_a_model_is_not_asked_where_the_tenant_does_not_allow_its_endpoint():
    parrot = Parrot('{"explanation": "seen"}', host="elsewhere.example")
    done = await run(SRE, lasting_surge().build(), reasoner=ModelReasoner(parrot))
    assert parrot.asked == []
    assert "seen" not in done.explanation


async def test_a_model_is_asked_where_it_is_allowed():
    parrot = Parrot('{"explanation": "seen"}')
    done = await run(SRE, lasting_surge().build(), reasoner=ModelReasoner(parrot))
    assert len(parrot.asked) == 1
    assert done.explanation == "seen"
    assert len(done.considered) <= MAX_REHEARSED


def test_what_a_model_sees_is_masked():
    maker = slow_release().log("service/web", "login of bob@example.org from 10.1.2.3 with password=hunter2 failed")
    pack = maker.build()
    asked = question(pack, diagnose(pack), ())
    assert "service/web" in asked
    for secret in ("bob@example.org", "10.1.2.3", "hunter2"):
        assert secret not in asked


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("ghp_abcdefghijklmnopqrstuvwxyz012345", "abcdefghij"),
        ("Authorization: Bearer abc.def-ghi_jkl", "def-ghi"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("postgres://admin:s3cret@db:5432/x", "s3cret"),
        ("api_key=AbCdEf123456", "AbCdEf"),
        ('"password": "hunter2"', "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----", "MIIEpAI"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8"),
        ("4111 1111 1111 1111", "4111"),
    ],
)
def test_secrets_do_not_survive_masking(text: str, core: str):
    told = masked(f"before {text} after")
    assert told.startswith("before ")
    assert core not in told


async def test_an_unmocked_model_call_is_an_error():
    chat = OpenAIChat(base_url="http://127.0.0.1:1/v1", api_key="k", model="m")
    with pytest.raises(Broken, match="not faked"):
        await chat.ask("a", "b")
