"""Documents: what the runtime's services keep (releases, restore points, findings, waivers), one row each.

Every document has a place (environment, tenant), a kind, an id and a version that only grows. Calls take the caller's
connection, so that several documents, or a document and an operation, stand or fall together.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from domain.base import Frozen, UtcDatetime
from domain.errors import Conflict
from domain.ids import EnvironmentId, TenantId
from storage.tables.runtime import documents

M = TypeVar("M", bound=BaseModel)


class Place(Frozen):
    """Whose document it is."""

    environment: EnvironmentId
    tenant: TenantId


class Document(Frozen, Generic[M]):
    """One document with its bookkeeping."""

    place: Place
    id: str
    version: int
    body: M
    at: UtcDatetime


class Documents(Generic[M]):
    """The documents of one kind; `model` is the shape of every body."""

    def __init__(self, kind: str, model: type[M]) -> None:
        self._kind, self._model = kind, model

    def put(
        self, connection: Connection, place: Place, name: str, body: M, *, at: datetime, expect: int | None = None
    ) -> int:
        """Write a document and return its new version. `expect` is the version it must have (0: not there yet).

        Raises Conflict where it has another one.
        """
        found = self.get(connection, place, name)
        version = 0 if found is None else found.version
        if expect is not None and expect != version:
            raise Conflict(f"the {self._kind} {name} is at version {version}", reason="version_mismatch")
        values = {"version": version + 1, "body": body.model_dump(mode="json"), "at": at}
        if found is None:
            keys = {"environment": place.environment, "tenant": place.tenant, "kind": self._kind, "id": name}
            connection.execute(insert(documents).values(keys | values))
            return version + 1
        where = (*self._at(place, name), documents.c.version == version)
        if connection.execute(update(documents).where(*where).values(values)).rowcount != 1:
            raise Conflict(f"somebody else wrote the {self._kind} {name}", reason="version_mismatch")
        return version + 1

    def get(self, connection: Connection, place: Place, name: str) -> Document[M] | None:
        """Return one document, None where there is none at that place."""
        row = connection.execute(select(documents).where(*self._at(place, name))).first()
        return None if row is None else self._document(row)

    def list(
        self, connection: Connection, environment: EnvironmentId, tenants: Sequence[TenantId] | None = None
    ) -> tuple[Document[M], ...]:
        """Return the documents of some tenants (all where None) in one environment, by tenant and id."""
        where = [documents.c.environment == environment, documents.c.kind == self._kind]
        if tenants is not None:
            where.append(documents.c.tenant.in_(tenants))
        rows = connection.execute(select(documents).where(*where).order_by(documents.c.tenant, documents.c.id))
        return tuple(self._document(row) for row in rows)

    def newest(
        self,
        connection: Connection,
        environment: EnvironmentId,
        tenants: Sequence[TenantId] | None = None,
        *,
        limit: int,
        after: tuple[datetime, str] | None = None,
    ) -> tuple[Document[M], ...]:
        """Return at most `limit` documents, those written last first; `after` is (at, id) of one: what comes behind."""
        where = [documents.c.environment == environment, documents.c.kind == self._kind]
        if tenants is not None:
            where.append(documents.c.tenant.in_(tenants))
        if after is not None:
            at, name = after
            where.append(or_(documents.c.at < at, and_(documents.c.at == at, documents.c.id < name)))
        order = (documents.c.at.desc(), documents.c.id.desc())
        rows = connection.execute(select(documents).where(*where).order_by(*order).limit(limit))
        return tuple(self._document(row) for row in rows)

    def forget(self, connection: Connection, environment: EnvironmentId, *, before: datetime) -> int:
        """Remove what was last written before an instant; return how much."""
        old = (documents.c.environment == environment, documents.c.kind == self._kind, documents.c.at < before)
        return connection.execute(delete(documents).where(*old)).rowcount

    def delete(self, connection: Connection, place: Place, name: str) -> bool:
        """Remove a document; tell whether it was there."""
        return bool(connection.execute(delete(documents).where(*self._at(place, name))).rowcount)

    def _at(self, place: Place, name: str) -> tuple[ColumnElement[bool], ...]:
        return (
            documents.c.environment == place.environment, documents.c.tenant == place.tenant,
            documents.c.kind == self._kind, documents.c.id == name,
        )  # fmt: skip

    def _document(self, row: Row[Any]) -> Document[M]:
        where = Place(environment=row.environment, tenant=row.tenant)
        body = self._model.model_validate(row.body)
        return Document[M](place=where, id=row.id, version=row.version, body=body, at=row.at)
