"""DisasterRecoveryWorker: sees a region lost by a quorum of witnesses, proposes the way out, and later the way back.

The way out is one change plan: switch the stores, then rebind each tenant that may go. Who may not go is told. Going
back is another plan, offered once the region has been well for long enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.command_kinds import Proposer
from domain.findings import Act, Finding
from domain.ids import PLATFORM, EnvironmentId, TenantId
from domain.topology import EntityRef
from runtime import state
from runtime.parts import RuntimeParts
from runtime.services.recovery.outlook import lag_s, outlook, primary_of
from runtime.services.recovery.watching import Watched, watch
from runtime.services.recovery.witnesses import BACK_FOR

CONFIDENCE = 0.95
"""Of a quorum of independent witnesses over a minute; the share that is left is for what all of them share."""


@dataclass(frozen=True, slots=True)
class DisasterRecoveryWorker:
    """A Worker."""

    name: Proposer = "disaster_recovery"
    every: timedelta = timedelta(seconds=30)

    async def look(self, parts: RuntimeParts, environment: EnvironmentId) -> tuple[Finding, ...]:
        """Return lost regions with the plan out of them, tenants held there, and regions one can go back to."""
        if parts.planes.regions is None:
            return ()
        regions = await watch(parts, environment)
        found: list[Finding] = []
        for region in regions:
            if region.standing == "lost":
                found += await self._lost(parts, environment, region, regions)
            elif region.well_since is not None and parts.clock.now() - region.well_since >= BACK_FOR:
                found += await self._back(parts, environment, region)
        return tuple(found)

    async def _lost(
        self, parts: RuntimeParts, environment: EnvironmentId, lost: Watched, regions: Sequence[Watched]
    ) -> list[Finding]:
        pair = next((r for r in regions if r.region == lost.paired_with and r.standing == "up"), None)
        if pair is None:
            text = f"{lost.region} is lost and has no paired region that is well: nothing can be promoted"
            return [self._finding(environment, lost, text, lost.lines, ())]
        seen = await outlook(parts, environment, lost.region, pair.region)
        lags: Mapping[str, float] = {} if parts.planes.stores is None else await lag_s(parts.planes.stores, seen.stores)
        lines = (
            *lost.lines,
            *(f"{store}: the copy in {pair.region} is {lag:.0f} s behind" for store, lag in lags.items()),
            *(f"{store.id} has no copy in {pair.region} and stays" for store in seen.no_copy),
            *(f"{tenant} is held: its residency forbids {pair.region}" for tenant in seen.held),
        )
        text = (
            f"{lost.region} is lost by {len(lost.down)} of {len(lost.down) + len(lost.up)} witnesses; "
            f"{len(seen.moves)} tenants can go to {pair.region}, {len(seen.held)} are held"
        )
        acts = _switch(lost.region, pair.region, (), _led(parts, environment, seen.moves), text)
        held = [self._held(environment, tenant, lost.region, pair.region) for tenant in seen.held]
        return [self._finding(environment, lost, text, lines, acts), *held]

    async def _back(self, parts: RuntimeParts, environment: EnvironmentId, region: Watched) -> list[Finding]:
        """Offer the way back to those who were bound here first and are elsewhere now."""
        with parts.database.read() as connection:
            bindings = state.bound_tenants(connection, environment)
            now = state.current(connection, environment).effective(parts.clock.now())
        away = {b.tenant: primary_of(b, now) for b in bindings if b.primary_region == region.region}
        elsewhere = sorted({home for home in away.values() if home != region.region})
        found: list[Finding] = []
        for home in elsewhere:
            theirs = (PLATFORM, *(tenant for tenant, where in away.items() if where == home))
            seen = await outlook(parts, environment, home, region.region, only=theirs)
            back = _led(parts, environment, seen.moves)
            since = region.well_since.isoformat() if region.well_since else ""
            text = f"{region.region} has been well since {since}; {len(back)} tenants can go back from {home}"
            acts = _switch(home, region.region, theirs, back, text)
            found.append(
                Finding(
                    owner=self.name, kind="region.back", tenant=PLATFORM, environment=environment,
                    resource=f"region/{region.region}", summary=text, severity="info", evidence=region.lines,
                    acts=acts,
                )
            )  # fmt: skip
        return found

    def _finding(
        self, environment: EnvironmentId, lost: Watched, text: str, lines: Sequence[str], acts: tuple[Act, ...]
    ) -> Finding:
        return Finding(
            owner=self.name, kind="region.lost", tenant=PLATFORM, environment=environment,
            resource=f"region/{lost.region}", summary=text, severity="critical", evidence=tuple(lines), acts=acts,
        )  # fmt: skip

    def _held(self, environment: EnvironmentId, tenant: TenantId, lost: str, pair: str) -> Finding:
        text = (
            f"{lost} is lost and your residency forbids {pair}: you are held until {lost} is back, or you say otherwise"
        )
        return Finding(
            owner=self.name, kind="tenant.held", tenant=tenant, environment=environment, resource=f"tenant/{tenant}",
            summary=text, severity="critical",
        )  # fmt: skip


def _switch(
    source: str, target: str, only: Sequence[TenantId], tenants: Sequence[TenantId], why: str
) -> tuple[Act, ...]:
    """The plan from one region to another: the stores first (only some tenants'), then one tenant after another."""
    switch = Act(
        kind="region.failover", arguments={"from_region": source, "to_region": target, "tenants": list(only)},
        target=EntityRef(kind="region", id=source), rationale=why, confidence=CONFIDENCE,
    )  # fmt: skip
    rebinds = tuple(
        Act(
            kind="tenant.rebind", arguments={"tenant": tenant, "primary_region": target},
            target=EntityRef(kind="tenant", id=tenant), rationale=f"{tenant} goes where its data is written now",
            confidence=CONFIDENCE,
        )
        for tenant in tenants
    )  # fmt: skip
    return (switch, *rebinds)


def _led(parts: RuntimeParts, environment: EnvironmentId, tenants: Sequence[TenantId]) -> tuple[TenantId, ...]:
    """Return those of the tenants whose traffic the environment leads: its desired state knows them."""
    with parts.database.read() as connection:
        known = state.current(connection, environment).base.tenants
    return tuple(tenant for tenant in tenants if tenant in known)
