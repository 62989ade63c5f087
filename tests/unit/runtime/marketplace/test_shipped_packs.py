"""The packs that come with Opsmesh: signed by the key in the tree, true to their own tests, of use in the demo."""

import json
from pathlib import Path

import pytest

from domain.desired import DesiredState
from domain.errors import Invalid
from domain.ids import EnvironmentId, TenantId
from domain.packs import PackPlanBody
from infra.shapes import pieces
from runtime.marketplace.bundle import read_bundle
from runtime.marketplace.checks import failures, state_with
from runtime.marketplace.envelope import public_key
from runtime.marketplace.market import market_at
from runtime.marketplace.pack import open_pack
from runtime.marketplace.rendering import chosen, rendered
from runtime.marketplace.shelf import SHIPPED
from runtime.marketplace.trust import TrustStore
from runtime.scope import TenantView
from runtime.simulator import readers
from runtime.simulator.demo import TENANTS, demo_world
from runtime.simulator.world import World
from tests.support.packs import AT, RUNNING

FOLDERS = sorted(path for path in SHIPPED.glob("*/*") if path.is_dir())
TENANT = TenantId("acme-retail")
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.parent.name)


@pytest.fixture(scope="module")
def world():
    return World(demo_world(), 1)


@pytest.fixture
def trust(tmp_path):
    store = TrustStore(tmp_path / "marketplace" / "trust")
    for binding in TENANTS:
        store.trust(binding.tenant, "opsmesh", public_key((SHIPPED / "publisher.pem").read_bytes()), AT)
    return store


@each
def test_it_opens_and_its_own_tests_pass(folder: Path, trust):
    pack = open_pack(read_bundle(folder), trust.read(TENANT), RUNNING)
    assert (pack.manifest.name, pack.manifest.version) == (folder.parent.name, folder.name)
    assert failures(pack.manifest, pack.content, pack.cases) == ()


@each
def test_its_tests_notice_other_content(folder: Path, trust):
    pack = open_pack(read_bundle(folder), trust.read(TENANT), RUNNING)
    gone = pack.content.model_copy(update={"rules": pack.content.rules[-1:]})
    broken = gone.rules[0].model_copy(update={"select": gone.rules[0].select.model_copy(update={"tiers": (9,)})})
    assert failures(pack.manifest, gone.model_copy(update={"rules": (broken,)}), pack.cases)


def test_every_kind_has_two_and_each_finds_something_to_do_in_the_demo_world(tmp_path, trust, world):
    market = market_at(tmp_path)
    listed = market.shelf.listed(TENANT)
    kinds = [pack.kind for pack in listed]
    assert not [pack for pack in listed if pack.refused]
    assert all(
        kinds.count(kind) >= 2 for kind in ("topology_blueprint", "scaling_policy", "health_drift_policy", "add_on")
    )
    used = {pack.name for pack in listed if any(_plan(market, world, pack.name, b.tenant) for b in TENANTS[1:])}
    assert used == {pack.name for pack in listed}


def _plan(market, world, name, tenant):
    desired = DesiredState(
        environment=EnvironmentId("prod"), tenant=TenantId("platform"), version=1, base=world.environment_state()
    )
    view = TenantView(tenant, readers.topology(world), TENANTS)
    asked = PackPlanBody.model_validate({"kind": "pack.install", "arguments": {"pack": name}})
    try:
        found = market.plan(asked, tenant, view, desired, AT, {"westeurope": 253.0, "northeurope": 280.0})
    except Invalid as error:
        if error.reason != "pack_does_nothing":
            raise
        return None
    assert {c.address for c in found.changes} <= view.owned
    assert found.impact.carbon_g_per_hour_after is not None
    return found


@pytest.mark.parametrize("name", ["saas-regulated-multi-region", "saas-lean-single-region"])
def test_a_blueprints_state_is_what_infrastructure_programs_render(name, trust, world):
    pack = open_pack(read_bundle(SHIPPED / name / "1.0.0"), trust.read(TENANT), RUNNING)
    case = pack.cases[0]
    state = state_with(case.setting.state, rendered(pack.content, chosen(pack.manifest, case.parameters), case.setting))
    desired = DesiredState(environment=EnvironmentId("prod"), tenant=TENANT, version=1, base=state)
    found = {(piece.kind, piece.name): piece.inputs for piece in pieces(desired, TENANTS[1], AT)}
    assert {kind for kind, _ in found} == {"Namespace", "Quota", "Service", "DataStore"}
    store, web = found["DataStore", "orders-db"], found["Service", "web"]
    if name == "saas-regulated-multi-region":
        assert (store["encrypted_at_rest"], store["replica_region"], store["backup_retention_days"]) == (
            True,
            "north",
            35,
        )
        assert web["zone_spread"] is True
        assert web["scaling"]["min_replicas"] == 3
    else:
        assert (store["replica_region"], web["traffic"]["region_weights"]) == (None, {"west": 1.0})


def test_the_private_half_is_nowhere_in_the_tree():
    texts = [path.read_bytes() for path in SHIPPED.rglob("*") if path.is_file()]
    assert not [text for text in texts if b"PRIVATE" in text]
    assert json.loads((FOLDERS[0] / "pack.json").read_text())["format"] == 1
