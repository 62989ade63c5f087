"""The effects ledger: what took effect under which key, which grants are used, and the newest fencing number seen.

A key is unique within (tenant, environment), for ever: the same request gets the recorded answer again, another
request under the same key is a conflict. Nothing here is ever deleted.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from domain.base import Digest
from domain.decisions import GrantClaims
from domain.errors import Conflict, Refused
from domain.ids import EnvironmentId, TenantId
from domain.outcomes import EffectReceipt
from storage.tables.runtime import effects, fencing, used_grants


def recorded(
    connection: Connection, tenant: TenantId, environment: EnvironmentId, key: str, request: Digest | None = None
) -> EffectReceipt | None:
    """Return the receipt under a key, None where nothing took effect.

    Raises Conflict when a request digest is given and another request had used the key.
    """
    row = connection.execute(
        select(effects.c.receipt, effects.c.request_digest).where(
            effects.c.tenant == tenant, effects.c.environment == environment, effects.c.idempotency_key == key
        )
    ).first()
    if row is None:
        return None
    if request is not None and row.request_digest != request:
        raise Conflict("the idempotency key was used for another request", reason="key_reused")
    return EffectReceipt.model_validate(row.receipt)


def applied_count(connection: Connection, tenant: TenantId, environment: EnvironmentId, key: str) -> int:
    """Return how many times the ledger saw an effect under the key: 0 or 1, or an invariant is broken."""
    row = connection.execute(
        select(effects.c.applied_count).where(
            effects.c.tenant == tenant, effects.c.environment == environment, effects.c.idempotency_key == key
        )
    ).first()
    return 0 if row is None else row.applied_count


def check_unused(connection: Connection, grant: GrantClaims) -> None:
    """Raise Refused when the grant was used before."""
    if connection.execute(select(used_grants.c.jti).where(used_grants.c.jti == grant.jti)).first():
        raise Refused("the grant was used before", reason="grant_used")


def check_fencing(connection: Connection, grant: GrantClaims, resources: Sequence[str]) -> None:
    """Raise Refused when a newer holder of the lease was seen on one of the resources."""
    newest = connection.execute(
        select(fencing.c.high_water)
        .where(fencing.c.environment == grant.environment, fencing.c.resource.in_(resources))
        .order_by(fencing.c.high_water.desc())
        .limit(1)
    ).scalar()
    if newest is not None and grant.fencing < newest:
        raise Refused("a newer executor has written here: the lease was lost", reason="fencing_stale")


def record(  # one row's own fields
    connection: Connection,
    grant: GrantClaims,
    receipt: EffectReceipt,
    *,
    request: Digest,
    resources: Sequence[str],
    at: datetime,
) -> None:
    """Write the effect, use up the grant and raise the high-water marks."""
    connection.execute(
        insert(effects).values(
            tenant=grant.tenant,
            environment=grant.environment,
            idempotency_key=grant.idempotency_key,
            command=grant.command,
            digest=grant.digest,
            preview_digest=grant.preview_digest,
            request_digest=request,
            fencing=grant.fencing,
            jti=grant.jti,
            receipt=receipt.model_dump(mode="json"),
            applied_count=1,
            at=at,
        )
    )
    connection.execute(insert(used_grants).values(jti=grant.jti, idempotency_key=grant.idempotency_key, used_at=at))
    for resource in resources:
        _raise_mark(connection, grant, resource)


def _raise_mark(connection: Connection, grant: GrantClaims, resource: str) -> None:
    where = (fencing.c.environment == grant.environment) & (fencing.c.resource == resource)
    if not connection.execute(update(fencing).where(where).values(high_water=grant.fencing)).rowcount:
        connection.execute(
            insert(fencing).values(environment=grant.environment, resource=resource, high_water=grant.fencing)
        )
