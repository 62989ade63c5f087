"""The shelf: folders of packs by name and version, and what one tenant can make of each.

A pack lies at `<root>/<name>/<version>`; the first root that has it counts. Packs are opened anew each time, so that a
key revoked meanwhile or a file changed meanwhile is noticed.
"""

from collections.abc import Iterator
from importlib.metadata import version as distribution_version
from pathlib import Path

from domain.errors import NotFound, OpsmeshError, Refused
from domain.ids import TenantId
from domain.packs import Listed
from runtime.marketplace.bundle import read_bundle
from runtime.marketplace.pack import Pack, open_pack
from runtime.marketplace.trust import TrustStore
from runtime.marketplace.versions import precedence

SHIPPED = Path(__file__).parents[2] / "packs"
"""The packs that come with Opsmesh."""


class Shelf:
    """Packs for tenants with these trust files, on this version of Opsmesh."""

    def __init__(self, trust: TrustStore, *roots: Path, running: str | None = None) -> None:
        self._trust, self._roots = trust, roots
        self.running = running or distribution_version("opsmesh")

    def open(self, tenant: TenantId, name: str, version: str | None = None) -> Pack:
        """Return a pack, the newest that can be used where no version is said.

        Raises NotFound where there is none, else Refused or Invalid as opening does.
        """
        versions = sorted(
            (v for n, v in self._places() if n == name and version in {None, v}), key=precedence, reverse=True
        )
        first: OpsmeshError = NotFound("no such pack")
        for at, found in enumerate(versions):
            try:
                return self._opened(tenant, name, found)
            except OpsmeshError as error:
                first = error if at == 0 else first
        raise first

    def listed(self, tenant: TenantId) -> tuple[Listed, ...]:
        """Return every version there is, by name and from the newest."""
        places = sorted(self._places(), key=lambda place: precedence(place[1]), reverse=True)
        return tuple(self._listed(tenant, *place) for place in sorted(places, key=lambda place: place[0]))

    def _listed(self, tenant: TenantId, name: str, version: str) -> Listed:
        try:
            pack = self._opened(tenant, name, version)
        except OpsmeshError as error:
            return Listed(name=name, version=version, refused=error.reason)
        said = pack.manifest
        return Listed(name=name, version=version, kind=said.kind, summary=said.summary, publisher=pack.publisher)

    def _opened(self, tenant: TenantId, name: str, version: str) -> Pack:
        folder = next(root / name / version for root in self._roots if (root / name / version).is_dir())
        pack = open_pack(read_bundle(folder), self._trust.read(tenant), self.running)
        if (pack.manifest.name, pack.manifest.version) != (name, version):
            raise Refused("the pack lies under another name or version", reason="pack_misplaced")
        return pack

    def _places(self) -> Iterator[tuple[str, str]]:
        seen: set[tuple[str, str]] = set()
        for root in self._roots:
            for folder in sorted(root.glob("*/*")):
                place = folder.parent.name, folder.name
                if folder.is_dir() and place not in seen and _is_version(place[1]):
                    seen.add(place)
                    yield place


def _is_version(text: str) -> bool:
    try:
        precedence(text)
    except ValueError:
        return False
    return True
