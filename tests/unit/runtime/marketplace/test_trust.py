"""Trust is explicit, per tenant, kept for its owner only, and gone for good once revoked."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import Broken, NotFound, Refused
from domain.ids import TenantId
from runtime.marketplace.trust import TrustStore
from tests.support.packs import ACME, AT, key_of


def raw(number):
    return key_of(number).public_key().public_bytes_raw()


def test_keys_are_per_tenant_and_the_file_is_its_owners(tmp_path):
    store = TrustStore(tmp_path / "trust")
    store.trust(ACME, "maker", raw(1), AT)
    assert [k.name for k in store.read(ACME).keys] == ["maker"]
    assert store.read(TenantId("globex")).keys == ()
    [file] = (tmp_path / "trust").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_key_cannot_be_trusted_again(tmp_path):
    store = TrustStore(tmp_path)
    key = store.trust(ACME, "maker", raw(1), AT)
    assert store.trust(ACME, "again", raw(1), AT) == key
    assert store.revoke(ACME, key.id, AT).revoked_at == AT
    with pytest.raises(Refused):
        store.trust(ACME, "maker", raw(1), AT)
    with pytest.raises(NotFound):
        store.revoke(ACME, "nobody", AT)


def test_writers_at_once_lose_nothing(tmp_path):
    store = TrustStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.trust(ACME, f"maker{n}", raw(n), AT), range(1, 17)))
    assert len(store.read(ACME).keys) == 16


def test_a_tenants_name_leads_nowhere_else(tmp_path):
    store = TrustStore(tmp_path / "trust")
    store.trust(TenantId("a/../../b"), "maker", raw(1), AT)
    assert [p.name for p in tmp_path.iterdir()] == ["trust"]


def test_a_damaged_file_is_told_and_not_taken_for_an_empty_one(tmp_path):
    store = TrustStore(tmp_path)
    store.trust(ACME, "maker", raw(1), AT)
    (tmp_path / "acme.json").write_text("{")
    with pytest.raises(Broken):
        store.read(ACME)
