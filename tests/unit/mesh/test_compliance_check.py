"""Residency of what no state document holds is read off the preview: a copy that goes abroad is no way around."""

import pytest

from domain.changes import ResourceChange
from domain.desired import EnvironmentState
from domain.tenancy import Residency, RuntimeTenantBinding
from mesh.exposure import residency_ok
from tests.unit.governance.policy_goldens import command

BINDING = RuntimeTenantBinding(
    tenant="acme", environment="prod", isolation="pooled", residency=Residency(allowed_regions=("west",)),
    primary_region="west", budget_usd_per_month=1.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "path", "region", "ok"),
    [
        ("restore_point/one", "region", "west", True),
        ("restore_point/one", "region", "mars", False),
        ("restore_point/one", "copy_region", "mars", False),
        ("data_store/orders", "replica_region", "mars", True),  # a control's to judge, with whose data it holds
    ],
)
def test_a_region_named_by_a_preview_is_held_against_residency(address, path, region, ok):
    change = ResourceChange(address=address, operation="create", path=path, after=region)
    assert residency_ok(command(preview=(change,)), (BINDING,), EnvironmentState()) is ok
