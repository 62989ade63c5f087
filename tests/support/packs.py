"""A publisher, a trusting tenant and a small good pack, for tests that break one thing at a time."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.ids import TenantId
from runtime.marketplace.manifest import ENVELOPE
from runtime.marketplace.pack import open_pack
from runtime.marketplace.publishing import published, started
from runtime.marketplace.trust import TrustStore

AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
ACME = TenantId("acme")
RUNNING = "0.1.0"


def key_of(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def source(name="edge", kind="add_on", **changed):
    """A new pack's source; `changed` replaces text in files, `pack_json={"old": "new"}`."""
    files = dict(started(name, kind))
    for file, swaps in changed.items():
        path = file.replace("_", ".")
        text = files[path].decode()
        for old, new in swaps.items():
            assert old in text
            text = text.replace(old, new)
        files[path] = text.encode()
    return files


def signed(key, **options):
    return published(source(**options), key)[1]


def trusting(folder, key, tenant=ACME):
    store = TrustStore(folder / "trust")
    store.trust(tenant, "maker", key.public_key().public_bytes_raw(), AT)
    return store


def write(bundle, folder):
    for name, raw in bundle.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def opened_by(store, bundle, tenant=ACME, running=RUNNING):
    return open_pack(bundle, store.read(tenant), running)


__all__ = ("ACME", "AT", "ENVELOPE", "RUNNING", "key_of", "opened_by", "signed", "source", "trusting", "write")
