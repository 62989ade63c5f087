from datetime import timedelta

import pytest

from domain.errors import Unavailable
from domain.ids import CommandId, IncidentId, TenantId
from domain.outcomes import Lesson
from grounding.embeddings import HashedNgrams, embedder
from grounding.knowledge import KnowledgeIndex
from grounding.knowledge_rows import Document
from grounding.vectors import ChromaVectors, MemoryVectors
from storage.engine import Database
from tests.unit.grounding.builders import ACME, BOREALIS, T0, event


def runbook(name: str, text: str, tenant: TenantId = ACME) -> Document:
    return Document(id=name, tenant=tenant, kind="runbook", text=text, trust="platform", source=f"docs:{name}", at=T0)


def lesson(name: str, *, worked: bool = True, days_ago: float = 0, kind: str = "service.rollback") -> Lesson:
    return Lesson(
        id=name,
        tenant=ACME,
        incident=IncidentId("i1"),
        command=CommandId("c1"),
        symptom="checkout latency above its gate",
        fault_class="deploy_latency",
        command_kind=kind,
        target="service/checkout",
        worked=worked,
        weight=1.0,
        text="rolling back brought latency back",
        at=T0 - timedelta(days=days_ago),
    )


class Counting(HashedNgrams):
    """Counts what it embeds."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.texts = 0

    def embed(self, texts):
        self.texts += len(texts)
        return super().embed(texts)


class Breaking(MemoryVectors):
    """Unreadable until it is dropped."""

    broken = False

    def nearest(self, tenant, embedding, vector, limit):
        if self.broken:
            raise Unavailable("torn")
        return super().nearest(tenant, embedding, vector, limit)

    def drop(self, tenant, embedding):
        self.broken = False
        super().drop(tenant, embedding)


def test_meaning_and_exact_tokens_find_the_runbook(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    index.put([runbook("a", "connection pool exhausted: restart"), runbook("b", "error ORA-12541 from the listener")])
    assert index.retrieve(ACME, "pool of connections is exhausted")[0].document.id == "a"
    assert index.retrieve(ACME, "what means ora-12541")[0].document.id == "b"


def test_nothing_of_another_tenant_is_found(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    index.put([runbook("a", "the vault code is in the drawer", BOREALIS)])
    assert index.retrieve(ACME, "vault code drawer") == ()


def test_the_token_budget_holds(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    index.put([runbook(str(k), "latency " * 100) for k in range(5)])
    assert len(index.retrieve(ACME, "latency", budget_tokens=450)) == 2


def test_rebuild_uses_kept_vectors_and_survives_a_lost_store(database: Database):
    counting = Counting()
    index = KnowledgeIndex(database, MemoryVectors(), counting)
    index.put([runbook("a", "pool exhausted"), runbook("b", "cache cold")])
    fresh = KnowledgeIndex(database, MemoryVectors(), counting)
    counting.texts = 0
    assert fresh.probe() == (ACME,)
    assert counting.texts == 0
    assert fresh.retrieve(ACME, "cold cache")[0].similarity > 0.5
    assert fresh.probe() == ()


def test_another_embedding_is_computed_anew_never_mixed(database: Database):
    KnowledgeIndex(database, MemoryVectors(), Counting("old")).put([runbook("a", "pool exhausted")])
    renewed = Counting("new")
    index = KnowledgeIndex(database, MemoryVectors(), renewed)
    assert index.probe() == (ACME,)
    assert renewed.texts == 1
    assert index.probe() == ()


def test_an_unreadable_store_is_rebuilt_while_answering(database: Database):
    vectors = Breaking()
    index = KnowledgeIndex(database, vectors, HashedNgrams())
    index.put([runbook("a", "pool exhausted")])
    vectors.broken = True
    assert index.retrieve(ACME, "pool exhausted")[0].document.id == "a"


def test_lessons_are_recalled_with_decay(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    index.learn(lesson("new"))
    index.learn(lesson("old", days_ago=90, worked=False))
    found = index.similar(ACME, "checkout latency above its gate", at=T0, limit=5)
    weights = {p.worked: p.weight for p in found}
    assert weights[True] == pytest.approx(1.0)
    assert weights[False] == pytest.approx(0.5)


def test_unrelated_lessons_and_those_from_the_future_are_not_recalled(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    index.learn(lesson("later", days_ago=-1))
    assert index.similar(ACME, "checkout latency above its gate", at=T0, limit=5) == ()
    index.learn(lesson("now"))
    assert index.similar(ACME, "zzz qqq www", at=T0, limit=5) == ()


def test_events_become_one_untrusted_template_with_a_count(database: Database):
    index = KnowledgeIndex(database, MemoryVectors(), HashedNgrams())
    lines = [event("runtime.log.v1", {"service": "web", "message": f"timeout after {k} ms"}, T0) for k in range(3)]
    index.observe(ACME, lines)
    index.observe(ACME, lines[:1])
    (found,) = index.retrieve(ACME, "timeout after", kinds=("template",))
    assert found.document.count == 4
    assert found.document.trust == "untrusted"
    assert "2" not in found.document.text


def test_a_folder_of_garbage_in_place_of_chroma_is_begun_anew(database: Database, tmp_path):
    folder = tmp_path / "index"
    (folder / "gen-1").mkdir(parents=True)
    (folder / "gen-1" / "chroma.sqlite3").write_bytes(b"this is no database" * 500)
    vectors = ChromaVectors(folder)
    index = KnowledgeIndex(database, vectors, HashedNgrams())
    index.put([runbook("a", "pool exhausted")])
    assert index.retrieve(ACME, "pool exhausted")[0].document.id == "a"
    assert index.probe() == ()
    vectors.close()


def test_the_floor_is_used_where_no_weights_lie(tmp_path):
    assert isinstance(embedder(None), HashedNgrams)
    assert isinstance(embedder(tmp_path), HashedNgrams)


def test_hashed_vectors_are_unit_long_and_ignore_numbers():
    floor = HashedNgrams()
    one, two, other, empty = floor.embed(["timeout after 31 ms", "timeout after 9 ms", "cache warmed up", ""])
    assert one == two
    assert sum(x * x for x in one) == pytest.approx(1.0, abs=1e-5)
    assert sum(a * b for a, b in zip(one, other, strict=True)) < 0.3
    assert sum(x * x for x in empty) == pytest.approx(1.0, abs=1e-5)
