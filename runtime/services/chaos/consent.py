"""Whom a fault reaches, and whether each of them has agreed to it: which faults, where, when, and how much of them.

A fault reaches what it strikes and whoever calls that, directly or through others. Shared things are struck only with
the consent of everybody who uses them; silence is no consent.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from domain.base import Frozen, Slug
from domain.errors import NotFound, Refused
from domain.ids import PLATFORM, TenantId
from domain.topology import EdgeKind, Topology
from runtime.injection.ports import FaultName, InjectFault

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MOST_SERVICES = 1000
"""Named one by one; whoever has more of them says `*` (our choice: ten times the largest tenant we simulate)."""


class ConsentWindow(Frozen):
    """Hours of the day, in UTC, in which faults may happen; `to_hour_utc` is the first hour outside."""

    days: tuple[Weekday, ...] = WEEKDAYS
    from_hour_utc: int = Field(ge=0, le=23)
    to_hour_utc: int = Field(ge=1, le=24)

    def holds(self, at: datetime) -> bool:
        """Tell whether an instant lies in it."""
        return WEEKDAYS[at.weekday()] in self.days and self.from_hour_utc <= at.hour < self.to_hour_utc


class Consent(Frozen):
    """What one tenant agrees to. Nothing in it means nothing is agreed to."""

    faults: tuple[FaultName, ...]
    services: tuple[Slug | Literal["*"], ...]
    """Services of the tenant that may be struck; `*` stands for all of them."""
    windows: tuple[ConsentWindow, ...] = Field(max_length=20)
    max_share: float = Field(ge=0, le=1)
    """Of the tenant's services, how many a fault may reach at once, struck ones and their callers."""


class Blast(Frozen):
    """What one fault reaches, by tenant."""

    struck: dict[TenantId, frozenset[str]]
    reached: dict[TenantId, frozenset[str]]
    """Struck ones among them."""
    share: dict[TenantId, float]

    @property
    def tenants(self) -> tuple[TenantId, ...]:
        """Everybody whose consent it takes, the platform aside: it is whoever runs the shared things."""
        return tuple(sorted({*self.reached, *self.struck} - {PLATFORM}))

    @property
    def services(self) -> frozenset[str]:
        """Addresses of all services reached."""
        return frozenset(f"service/{name}" for names in self.reached.values() for name in names)


def blast_of(fault: InjectFault, topology: Topology) -> Blast:
    """Return what the fault reaches. Raises NotFound for a target that is not there."""
    struck = _struck(fault.target, topology)
    reached = _with_callers(struck, topology)
    own = {s.id: s for s in topology.services}
    names = {address.partition("/")[2] for address in reached} & set(own)
    hit = {address.partition("/")[2] for address in struck} & set(own)
    tenants = {own[n].tenant for n in names} | {t for n in names for t in own[n].used_by}
    by_tenant = {t: frozenset(n for n in names if own[n].tenant == t or t in own[n].used_by) for t in tenants}
    whole = {t: sum(1 for s in topology.services if s.tenant == t or t in s.used_by) for t in tenants}
    return Blast(
        struck={t: frozenset(n for n in hit if own[n].tenant == t) for t in sorted({own[n].tenant for n in hit})},
        reached=dict(sorted(by_tenant.items())),
        share={t: len(by_tenant[t]) / whole[t] for t in sorted(tenants)},
    )


def refusals(fault: InjectFault, blast: Blast, consents: Mapping[TenantId, Consent], at: datetime) -> Iterable[str]:
    """Yield why the fault may not happen now, naming who did not agree to what."""
    for tenant in blast.tenants:
        consent = consents.get(tenant)
        if consent is None:
            yield f"{tenant} has given no consent to faults"
            continue
        if fault.fault not in consent.faults:
            yield f"{tenant} has not agreed to {fault.fault}"
        unasked = sorted(blast.struck.get(tenant, frozenset()) - set(consent.services))
        if unasked and "*" not in consent.services:
            yield f"{tenant} has not agreed to faults of {', '.join(unasked)}"
        if not any(window.holds(at) for window in consent.windows):
            yield f"{tenant} has agreed to no fault at this hour"
        if blast.share[tenant] > consent.max_share:
            yield (
                f"{fault.fault} of {fault.target} reaches {blast.share[tenant]:.0%} of {tenant}'s services, "
                f"{consent.max_share:.0%} is agreed to"
            )


def check_consent(faults: Sequence[InjectFault], topology: Topology, consents: Mapping[TenantId, Consent],
                  at: datetime) -> tuple[Blast, ...]:  # fmt: skip
    """Return what the faults reach. Raises Refused naming every consent that is missing."""
    blasts = tuple(blast_of(fault, topology) for fault in faults)
    missing = [why for fault, blast in zip(faults, blasts, strict=True) for why in refusals(fault, blast, consents, at)]
    if missing:
        raise Refused("; ".join(dict.fromkeys(missing)), reason="consent_missing")
    return blasts


def _struck(target: str, topology: Topology) -> frozenset[str]:
    """Addresses that fail by themselves: the target, or whatever runs in a place that goes away."""
    known = {s for e in topology.edges for s in (e.source, e.target)} | {f"service/{s.id}" for s in topology.services}
    if target not in known:
        raise NotFound("no such resource")
    if target.partition("/")[0] in {"service", "external"}:
        return frozenset({target})
    held = _upstream(frozenset({target}), topology, frozenset({"runs_on", "member_of", "stores_in"}))
    return frozenset(address for address in held if address.startswith("service/"))


def _with_callers(struck: frozenset[str], topology: Topology) -> frozenset[str]:
    return _upstream(struck, topology, frozenset({"calls"}))


def _upstream(start: frozenset[str], topology: Topology, kinds: frozenset[EdgeKind]) -> frozenset[str]:
    """Return the addresses and all that depends on them by edges of some kinds."""
    above: dict[str, list[str]] = {}
    for edge in topology.edges:
        if edge.kind in kinds:
            above.setdefault(edge.target, []).append(edge.source)
    found, waiting = set(start), list(start)
    while waiting:
        for source in above.get(waiting.pop(), ()):
            if source not in found:
                found.add(source)
                waiting.append(source)
    return frozenset(found)
