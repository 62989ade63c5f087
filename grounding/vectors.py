"""Where vectors are searched: embedded Chroma, or plain arrays. Derived from SQL and thrown away whenever in doubt.

One collection per tenant and embedding: filters scan, collections do not, and a tenant's search cannot see another's.
"""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from domain.errors import Unavailable
from domain.ids import TenantId

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

_LOG = logging.getLogger(__name__)
# Chroma caps a batch near 5,000 rows (SQLite's variable limit); this stays below it.
BATCH = 2000


class Vectors(Protocol):
    """Nearest neighbours within one tenant's collection."""

    def put(self, tenant: TenantId, embedding: str, rows: Sequence[tuple[str, Sequence[float]]]) -> None:
        """Write (id, unit vector) rows, replacing those of the same id."""
        ...

    def nearest(self, tenant: TenantId, embedding: str, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        """Return (id, cosine similarity), nearest first. Raises Unavailable when the collection cannot be read."""
        ...

    def drop(self, tenant: TenantId, embedding: str) -> None:
        """Forget a collection; dropping nothing is fine."""
        ...


class MemoryVectors:
    """Exact search over arrays: for tests, and small enough stores."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]] = {}

    def put(self, tenant: TenantId, embedding: str, rows: Sequence[tuple[str, Sequence[float]]]) -> None:
        held = self._rows.setdefault((tenant, embedding), {})
        held.update((key, np.array(vector, dtype=np.float32)) for key, vector in rows)

    def nearest(self, tenant: TenantId, embedding: str, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        held = self._rows.get((tenant, embedding), {})
        query = np.array(vector, dtype=np.float32)
        scored = [(key, float(row @ query)) for key, row in held.items()]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def drop(self, tenant: TenantId, embedding: str) -> None:
        self._rows.pop((tenant, embedding), None)


class ChromaVectors:
    """Embedded Chroma in a folder this process owns alone. Every failure of it is Unavailable: the caller rebuilds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: Client | None = None
        self._generation = max([int(p.name[4:]) for p in folder.glob("gen-*") if p.name[4:].isdigit()], default=1)

    def put(self, tenant: TenantId, embedding: str, rows: Sequence[tuple[str, Sequence[float]]]) -> None:
        try:
            collection = self._collection(tenant, embedding)
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                collection.upsert(ids=[key for key, _ in part], embeddings=[list(vector) for _, vector in part])
        except Exception as error:  # foreign store at its boundary: it raises its own, sqlite's and Rust's kinds
            raise _unreadable(error) from error

    def nearest(self, tenant: TenantId, embedding: str, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        try:
            collection = self._collection(tenant, embedding)
            found = collection.query(query_embeddings=[list(vector)], n_results=limit, include=["distances"])
        except Exception as error:  # as above
            raise _unreadable(error) from error
        distances = (found["distances"] or [[]])[0]
        return [(key, 1.0 - float(far)) for key, far in zip(found["ids"][0], distances, strict=True)]

    def drop(self, tenant: TenantId, embedding: str) -> None:
        """Forget a collection; when even that fails the whole store is begun anew in the next generation's folder."""
        try:
            client = self._open()
            name = _name(tenant, embedding)
            if name in {c.name for c in client.list_collections()}:
                client.delete_collection(name)
        except Exception as error:  # noqa: BLE001  # foreign store at its boundary; starting over is the answer
            _LOG.warning("vector store unusable, beginning anew: %s", error)
            self._start_over()

    def close(self) -> None:
        """Let go of the folder."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _start_over(self) -> None:
        try:
            self.close()
        except Exception as error:  # noqa: BLE001  # a broken client may not close either; its folder is given up
            _LOG.warning("vector store did not close: %s", error)
        self._client = None
        old = self._folder / f"gen-{self._generation}"
        self._generation += 1
        rmtree(old, ignore_errors=True)

    def _collection(self, tenant: TenantId, embedding: str) -> "Collection":
        return self._open().get_or_create_collection(
            name=_name(tenant, embedding),
            metadata={"tenant": tenant, "embedding": embedding},
            configuration={"hnsw": {"space": "cosine"}},
            embedding_function=None,
        )

    def _open(self) -> "Client":
        if self._client is None:
            import chromadb
            from chromadb.config import Settings

            path = self._folder / f"gen-{self._generation}"
            path.mkdir(parents=True, exist_ok=True)
            opened = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
            self._client = cast("Client", opened)  # declared as its interface, which lacks close()
        return self._client


def _name(tenant: TenantId, embedding: str) -> str:
    """Chroma allows few characters in names; tenant and embedding stand in the metadata in full."""
    return f"k-{sha256(f'{tenant}/{embedding}'.encode()).hexdigest()[:40]}"


def _unreadable(error: Exception) -> Unavailable:
    return Unavailable(f"the vector store cannot be used: {type(error).__name__}: {error}", reason="index_unreadable")
