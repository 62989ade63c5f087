"""The desired-state documents: one row per version, the whole document in each, never changed after it was written.

Also who is bound to an environment, and how far the target has followed. Every call takes the caller's connection,
so that a version, its ledger row and its grant stand or fall together.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from domain.base import Digest, Frozen, UtcDatetime
from domain.desired import DesiredState, EnvironmentState
from domain.errors import Conflict, NotFound
from domain.ids import PLATFORM, EnvironmentId, PrincipalId
from domain.tenancy import RuntimeTenantBinding
from storage.tables.runtime import bindings, desired_versions, environments


def register(
    connection: Connection,
    environment: EnvironmentId,
    bound: Sequence[RuntimeTenantBinding],
    base: EnvironmentState,
    *,
    at: datetime,
) -> None:
    """Add an environment with its bindings and first document. A second time is Conflict."""
    if connection.execute(select(environments.c.environment).where(environments.c.environment == environment)).first():
        raise Conflict("the environment is registered already", reason="environment_exists")
    connection.execute(
        insert(environments).values(environment=environment, tenant=PLATFORM, registered_at=at, actuated_version=0)
    )
    for binding in bound:
        connection.execute(
            insert(bindings).values(
                environment=environment, tenant=binding.tenant, document=binding.model_dump(mode="json")
            )
        )
    first = DesiredState(environment=environment, tenant=PLATFORM, version=1, base=base)
    append(connection, first, actor=PrincipalId("platform"), key=None, at=at)


def append(connection: Connection, desired: DesiredState, *, actor: PrincipalId, key: str | None, at: datetime) -> None:
    """Add a version. A version that exists already raises sqlalchemy's IntegrityError: read and write in one."""
    connection.execute(
        insert(desired_versions).values(
            environment=desired.environment,
            version=desired.version,
            document=desired.model_dump(mode="json"),
            actor=actor,
            idempotency_key=key,
            at=at,
        )
    )


class Version(Frozen):
    """One version of the document, with the key of the effect that wrote it, None where the platform did."""

    desired: DesiredState
    key: str | None
    at: UtcDatetime


def current(connection: Connection, environment: EnvironmentId) -> DesiredState:
    """Return the newest document. Raises NotFound for an unknown environment."""
    return newest(connection, environment).desired


def newest(connection: Connection, environment: EnvironmentId) -> Version:
    """Return the newest version. Raises NotFound for an unknown environment."""
    row = connection.execute(
        select(desired_versions.c.document, desired_versions.c.idempotency_key, desired_versions.c.at)
        .where(desired_versions.c.environment == environment)
        .order_by(desired_versions.c.version.desc())
        .limit(1)
    ).first()
    if row is None:
        raise NotFound("no such environment")
    return Version(desired=DesiredState.model_validate(row.document), key=row.idempotency_key, at=row.at)


def lock(connection: Connection, environment: EnvironmentId) -> None:
    """Hold the environment until the transaction ends: read and write of its document and ledger are one step."""
    connection.execute(
        select(environments.c.environment).where(environments.c.environment == environment).with_for_update()
    )


def history(connection: Connection, environment: EnvironmentId, *, limit: int) -> list[tuple[DesiredState, str]]:
    """Return the newest documents with who wrote them, newest first."""
    rows = connection.execute(
        select(desired_versions.c.document, desired_versions.c.actor)
        .where(desired_versions.c.environment == environment)
        .order_by(desired_versions.c.version.desc())
        .limit(limit)
    )
    return [(DesiredState.model_validate(row.document), row.actor) for row in rows]


def versions(connection: Connection, environment: EnvironmentId, *, after: int, limit: int = 200) -> list[Version]:
    """Return the versions that follow the one given, oldest first."""
    rows = connection.execute(
        select(desired_versions.c.document, desired_versions.c.idempotency_key, desired_versions.c.at)
        .where(desired_versions.c.environment == environment, desired_versions.c.version > after)
        .order_by(desired_versions.c.version)
        .limit(limit)
    )
    return [
        Version(desired=DesiredState.model_validate(row.document), key=row.idempotency_key, at=row.at) for row in rows
    ]


def names(connection: Connection) -> list[EnvironmentId]:
    """Return every environment."""
    rows = connection.execute(select(environments.c.environment).order_by(environments.c.environment))
    return [EnvironmentId(row.environment) for row in rows]


def bound_tenants(connection: Connection, environment: EnvironmentId) -> tuple[RuntimeTenantBinding, ...]:
    """Return all bindings of an environment, by tenant."""
    rows = connection.execute(
        select(bindings.c.document).where(bindings.c.environment == environment).order_by(bindings.c.tenant)
    )
    return tuple(RuntimeTenantBinding.model_validate(row.document) for row in rows)


def actuated(connection: Connection, environment: EnvironmentId) -> tuple[int, str | None]:
    """Return the version and the digest of the effective state that the target has followed to."""
    row = connection.execute(
        select(environments.c.actuated_version, environments.c.actuated_digest).where(
            environments.c.environment == environment
        )
    ).one()
    return row.actuated_version, row.actuated_digest


def mark_actuated(connection: Connection, environment: EnvironmentId, version: int, digest: Digest) -> None:
    """Record that the target holds this version; an older one never overwrites a newer."""
    connection.execute(
        update(environments)
        .where(environments.c.environment == environment, environments.c.actuated_version <= version)
        .values(actuated_version=version, actuated_digest=digest)
    )
