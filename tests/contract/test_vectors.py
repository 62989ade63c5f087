"""One suite for every vector store: tenants apart, replace by id, forget, nearest first."""

from collections.abc import Iterator

import pytest

from domain.ids import TenantId
from grounding.vectors import ChromaVectors, MemoryVectors, Vectors

A, B = TenantId("tenant-a"), TenantId("tenant b/with odd name")


@pytest.fixture(params=["memory", "chroma"])
def vectors(request: pytest.FixtureRequest, tmp_path) -> Iterator[Vectors]:
    if request.param == "memory":
        yield MemoryVectors()
        return
    store = ChromaVectors(tmp_path / "index")
    yield store
    store.close()


def test_nearest_comes_first_with_its_cosine(vectors: Vectors):
    vectors.put(A, "e1", [("x", [1.0, 0.0]), ("y", [0.0, 1.0]), ("z", [0.6, 0.8])])
    found = vectors.nearest(A, "e1", [0.0, 1.0], 2)
    assert [key for key, _ in found] == ["y", "z"]
    assert found[0][1] == pytest.approx(1.0, abs=1e-4)
    assert found[1][1] == pytest.approx(0.8, abs=1e-4)


def test_a_tenant_never_finds_anothers_rows(vectors: Vectors):
    vectors.put(A, "e1", [("secret", [1.0, 0.0])])
    assert vectors.nearest(B, "e1", [1.0, 0.0], 5) == []


def test_embeddings_of_two_names_never_meet(vectors: Vectors):
    vectors.put(A, "e1", [("old", [1.0, 0.0])])
    vectors.put(A, "e2", [("new", [1.0, 0.0, 0.0])])
    assert [key for key, _ in vectors.nearest(A, "e2", [1.0, 0.0, 0.0], 5)] == ["new"]


def test_same_id_is_replaced(vectors: Vectors):
    vectors.put(A, "e1", [("x", [1.0, 0.0])])
    vectors.put(A, "e1", [("x", [0.0, 1.0])])
    assert vectors.nearest(A, "e1", [0.0, 1.0], 5) == [("x", pytest.approx(1.0, abs=1e-4))]


def test_dropped_rows_are_gone_and_dropping_nothing_is_fine(vectors: Vectors):
    vectors.drop(A, "e1")
    vectors.put(A, "e1", [("x", [1.0, 0.0])])
    vectors.drop(A, "e1")
    assert vectors.nearest(A, "e1", [1.0, 0.0], 5) == []
