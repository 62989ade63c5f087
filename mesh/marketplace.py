"""Packs on this machine, without a server: whom a tenant trusts, new sources, signing, and looking before installing.

Installing, upgrading and taking off are governed commands and go over HTTP like every other.
"""

from pathlib import Path
from typing import Literal

from domain.base import Frozen
from domain.errors import Invalid, NotFound
from domain.ids import TenantId
from domain.packs import PackKind
from mesh.settings import Settings
from mesh.time import SystemClock
from runtime.marketplace.bundle import read_bundle, write_bundle
from runtime.marketplace.checks import failures
from runtime.marketplace.envelope import private_key, public_key
from runtime.marketplace.market import Market, market_at
from runtime.marketplace.pack import open_pack
from runtime.marketplace.publishing import published, started

FOLDER = "runtime"
"""Where the embedded runtime keeps its files, in the state folder."""


class KnownKey(Frozen):
    """One publisher's key, as it is shown."""

    name: str
    id: str
    state: Literal["trusted", "revoked"]
    since: str


class Verified(Frozen):
    """What was found in a pack that is to be trusted."""

    name: str
    version: str
    kind: PackKind
    publisher: str
    digest: str
    failures: tuple[str, ...]
    """What its own tests found wrong; empty where they pass."""


def trusted(settings: Settings, tenant: str) -> tuple[KnownKey, ...]:
    """Return the keys a tenant trusts or revoked."""
    return tuple(
        KnownKey(
            name=key.name, id=key.id, state="revoked" if key.revoked_at else "trusted",
            since=(key.revoked_at or key.trusted_at).isoformat(timespec="seconds"),
        )
        for key in _market(settings).trust.read(TenantId(tenant)).keys
    )  # fmt: skip


def trust(settings: Settings, tenant: str, key: Path, name: str) -> tuple[KnownKey, ...]:
    """Trust the publisher's public key in a PEM file. Raises Refused for a key that was revoked."""
    settings.ensure_home()
    _market(settings).trust.trust(TenantId(tenant), name, public_key(_read(key)), SystemClock().now())
    return trusted(settings, tenant)


def revoke(settings: Settings, tenant: str, key: str) -> tuple[KnownKey, ...]:
    """Revoke a key by id or publisher's name, for good. Raises NotFound."""
    settings.ensure_home()
    _market(settings).trust.revoke(TenantId(tenant), key, SystemClock().now())
    return trusted(settings, tenant)


def new(name: str, kind: PackKind, folder: Path) -> None:
    """Write the source of a new pack. Raises Invalid where the folder exists."""
    if folder.suffix == ".zip":
        raise Invalid("a source is a folder", reason="usage")
    write_bundle(started(name, kind), folder)


def publish(settings: Settings, source: Path, key: Path, out: Path | None) -> tuple[str, str, Path]:
    """Sign a source folder; returns name, version and where it lies, by default on this runtime's own shelf."""
    manifest, bundle = published(read_bundle(source), private_key(_read(key)))
    if out is None:
        settings.ensure_home()
        out = settings.home / FOLDER / "marketplace" / "packs" / manifest.name / manifest.version
        out.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(bundle, out)
    return manifest.name, manifest.version, out


def verify(settings: Settings, pack: str, tenant: str) -> Verified:
    """Open a pack, from a path or by name from the shelf, as the tenant would, and run its tests. Raises why not."""
    market = _market(settings)
    path = Path(pack)
    if path.exists():
        found = open_pack(read_bundle(path), market.trust.read(TenantId(tenant)), market.shelf.running)
    else:
        found = market.shelf.open(TenantId(tenant), pack)
    said = found.manifest
    return Verified(
        name=said.name, version=said.version, kind=said.kind, publisher=found.publisher, digest=found.digest,
        failures=failures(said, found.content, found.cases),
    )  # fmt: skip


def _market(settings: Settings) -> Market:
    return market_at(settings.home / FOLDER)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path}", reason="file_missing") from error
