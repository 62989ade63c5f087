"""The knowledge index's record in SQL: documents with their vectors, and the exact tokens they hold."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, JsonValue
from sqlalchemy import Connection, delete, insert, select, update

from domain.base import Digest, Frozen, Trust, UtcDatetime, digest_of
from domain.ids import TenantId
from storage.tables.knowledge import index_documents, index_tokens

DocumentKind = Literal["template", "incident", "runbook", "outcome"]
# Tokens shorter than three letters tell nothing; longer than a hundred they are payloads, not names.
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,98}[A-Za-z0-9]")
MAX_TOKENS = 200


class Document(Frozen):
    """One entry that people can read and review."""

    id: str
    tenant: TenantId
    kind: DocumentKind
    text: str = Field(max_length=20_000)
    trust: Trust
    source: str = Field(max_length=512)
    body: JsonValue = None
    count: int = Field(ge=1, default=1)
    """How many events a template stands for."""
    weight: float = Field(ge=0, le=1, default=1.0)
    at: UtcDatetime

    @property
    def digest(self) -> Digest:
        """Digest of what it says, without count and time."""
        return digest_of({"kind": self.kind, "text": self.text, "body": self.body, "source": self.source})


def tokens_of(text: str) -> list[str]:
    """Return the exact tokens of a text: names, codes, versions; lower case, first seen first."""
    return list(dict.fromkeys(token.lower() for token in _TOKEN.findall(text)))[:MAX_TOKENS]


def save(connection: Connection, document: Document, embedding: str, vector: Sequence[float]) -> None:
    """Write a document with its vector and tokens, replacing the one of the same id."""
    columns = index_documents.c
    values = {
        "kind": document.kind,
        "text": document.text,
        "trust": document.trust,
        "source": document.source,
        "digest": document.digest,
        "body": document.body,
        "count": document.count,
        "weight": document.weight,
        "at": document.at,
        "embedding": embedding,
        "vector": np.array(vector, dtype="<f4").tobytes(),
    }
    key = (columns.tenant == document.tenant) & (columns.id == document.id)
    if connection.execute(update(index_documents).where(key).values(values)).rowcount == 0:
        connection.execute(insert(index_documents).values(tenant=document.tenant, id=document.id, **values))
    tokens = index_tokens.c
    connection.execute(delete(index_tokens).where(tokens.tenant == document.tenant, tokens.document == document.id))
    rows = [{"tenant": document.tenant, "token": t, "document": document.id} for t in tokens_of(document.text)]
    if rows:
        connection.execute(insert(index_tokens), rows)


def load(connection: Connection, tenant: TenantId, ids: Iterable[str]) -> dict[str, Document]:
    """Return a tenant's documents of those ids."""
    columns = index_documents.c
    query = select(index_documents).where(columns.tenant == tenant, columns.id.in_(list(ids)))
    found: dict[str, Document] = {}
    for row in connection.execute(query).mappings():
        fields = {name: row[name] for name in Document.model_fields}
        found[row["id"]] = Document.model_validate(fields)
    return found


def vectors(connection: Connection, tenant: TenantId) -> list[tuple[str, str, list[float], str]]:
    """Return (id, embedding, vector, text) of all of a tenant's documents."""
    columns = index_documents.c
    query = select(columns.id, columns.embedding, columns.vector, columns.text).where(columns.tenant == tenant)
    return [
        (row.id, row.embedding, np.frombuffer(row.vector, dtype="<f4").tolist(), row.text)
        for row in connection.execute(query.order_by(columns.id))
    ]


def matching(connection: Connection, tenant: TenantId, tokens: Sequence[str], limit: int) -> list[tuple[str, int]]:
    """Return (id, how many of the tokens it holds), most first."""
    columns = index_tokens.c
    query = select(columns.document).where(columns.tenant == tenant, columns.token.in_(list(tokens)))
    counted = Counter(str(row.document) for row in connection.execute(query))
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]


def tenants(connection: Connection) -> list[TenantId]:
    """Return every tenant that has documents (for probing at start)."""
    found = connection.execute(select(index_documents.c.tenant).distinct())
    return sorted(TenantId(row.tenant) for row in found)
