"""A tenant's part of a desired-state document holds its own overrides and nobody else's."""

from datetime import timedelta

from domain.desired import DesiredState, Override
from domain.ids import PLATFORM, TenantId
from runtime.scope import TenantView
from tests.support.runtime_bench import PROD, START
from tests.support.small_runtime import STATE, TENANTS, TOPOLOGY


def test_overrides_of_others_are_not_shown():
    overrides = tuple(
        Override(
            path=("tenants", tenant, "rate_limit_rps"), value=5.0, command="c", expires_at=START + timedelta(hours=1)
        )
        for tenant in ("acme", "globex")
    )
    document = DesiredState(environment=PROD, tenant=PLATFORM, version=3, base=STATE, overrides=overrides)
    acme = TenantView(TenantId("acme"), TOPOLOGY, TENANTS).desired(document)
    assert acme.overrides == overrides[:1]
    assert (acme.version, acme.tenant) == (3, "acme")
    assert TenantView(PLATFORM, TOPOLOGY, TENANTS).desired(document).overrides == overrides
