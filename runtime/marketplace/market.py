"""The marketplace of one runtime: shelf and trust over its state folder, and plans of changes for a tenant's part.

It reads and works out. What it works out takes effect through the one door only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.desired import DesiredState, apply_patches
from domain.errors import Invalid
from domain.ids import CommandId, EnvironmentId, TenantId
from domain.packs import InstalledPack, PackPlanAnswer, PackPlanBody
from runtime.differences import state_changes
from runtime.marketplace.impact import impact_of
from runtime.marketplace.planning import PackWrites, install, uninstall, upgrade
from runtime.marketplace.rendering import setting_of
from runtime.marketplace.shelf import SHIPPED, Shelf
from runtime.marketplace.trust import TrustStore
from runtime.scope import TenantView

_PLANNED = CommandId("pack.plan")


@dataclass(frozen=True, slots=True)
class Market:
    """Shelf and trust of one state folder."""

    trust: TrustStore
    shelf: Shelf

    def plan(
        self,
        asked: PackPlanBody,
        tenant: TenantId,
        view: TenantView,
        desired: DesiredState,
        at: datetime,
        grid_gco2e_per_kwh: Mapping[str, float],
    ) -> PackPlanAnswer:
        """Return what the change means on this document. Raises as opening, rendering and planning do."""
        here = view.desired(desired)
        writes, version = self._writes(asked, tenant, view, here, at)
        after = apply_patches(here, writes.patches, command=_PLANNED, at=at)
        before_state, after_state = here.effective(at), after.effective(at)
        return PackPlanAnswer(
            version=desired.version,
            pack_version=version,
            patches=writes.patches,
            changes=state_changes(before_state, after_state),
            overrides=writes.overrides,
            kept=writes.kept,
            impact=impact_of(before_state, after_state, view.topology(), grid_gco2e_per_kwh),
        )

    def _writes(
        self, asked: PackPlanBody, tenant: TenantId, view: TenantView, here: DesiredState, at: datetime
    ) -> tuple[PackWrites, str | None]:
        wanted, state = asked.arguments, here.effective(at)
        if asked.kind == "pack.uninstall":
            return uninstall(wanted.pack, state, tenant), None
        pack = self.shelf.open(tenant, wanted.pack, wanted.version)
        binding = next((b for b in view.bindings() if b.tenant == tenant), None)
        if binding is None:
            raise Invalid("packs are installed for a tenant that is bound to the environment", reason="binding_missing")
        setting = setting_of(state, view.own(), binding)
        change = install if asked.kind == "pack.install" else upgrade
        return change(pack, wanted.parameters, setting, tenant), pack.manifest.version

    def installed(self, tenant: TenantId, environment: EnvironmentId, desired: DesiredState) -> list[InstalledPack]:
        """Return what a tenant has installed in an environment."""
        held = desired.base.tenants.get(tenant)
        return [
            InstalledPack(
                environment=environment, pack=name, version=pack.version, digest=pack.digest,
                parameters=pack.parameters, newest=self.newest(tenant, name),
                refused=self._refused(tenant, name, pack.version),
            )
            for name, pack in sorted((held.packs if held else {}).items())
        ]  # fmt: skip

    def _refused(self, tenant: TenantId, name: str, version: str) -> str:
        found = next((p for p in self.shelf.listed(tenant) if (p.name, p.version) == (name, version)), None)
        return "notfound" if found is None else found.refused

    def newest(self, tenant: TenantId, name: str) -> str:
        """Return the newest version the tenant can use, empty where there is none."""
        return next((p.version for p in self.shelf.listed(tenant) if p.name == name and not p.refused), "")


def market_at(home: Path) -> Market:
    """Return the marketplace of a runtime's state folder; its own packs lie beside those that come with Opsmesh."""
    trust = TrustStore(home / "marketplace" / "trust")
    return Market(trust=trust, shelf=Shelf(trust, home / "marketplace" / "packs", SHIPPED))
