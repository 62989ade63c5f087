"""New certificates for all that an issuer signed before it was distrusted: in waves, one region at a time. Pure.

A wave is worked out from what is still served, so nothing has to be remembered: the next one holds what is left of
the first region, tier 0 first, as many as the rate leaves over. A wave that fails is what is left, and goes no further.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ids import TenantId
from domain.trust import CertificateStatus

PER_WAVE = 20
"""Certificates at a time over all tenants: a plan of that many is still read before it is approved."""
SPACING = timedelta(minutes=30)
"""Between two waves: a fast burn alert tells within 5 minutes that the last one did harm (SRE workbook)."""


@dataclass(frozen=True, slots=True)
class Wave:
    """What is replaced next."""

    region: str
    of_tenant: Mapping[TenantId, tuple[CertificateStatus, ...]]
    left: int
    """Certificates for later waves."""
    held: tuple[str, ...]
    """Certificates in a region where their tenant's keys may not lie: nothing is issued for them there."""


def next_wave(
    statuses: Sequence[CertificateStatus],
    tiers: Mapping[str, int],
    allowed: Mapping[TenantId, Collection[str]],
    at: datetime,
    *,
    per_wave: int = PER_WAVE,
) -> Wave | None:
    """Return what is replaced next; None where nothing signed by a distrusted issuer is served.

    `tiers` by service; `allowed` regions by tenant, a tenant that is not named may be anywhere. A wave without
    certificates means: wait, the last one was less than `SPACING` ago.
    """
    bad = [s for s in statuses if "issuer_distrusted" in s.wrong]
    if not bad:
        return None
    held = tuple(s.certificate for s in bad if s.region not in allowed.get(s.tenant, (s.region,)))
    open_ones = sorted(
        (s for s in bad if s.certificate not in held), key=lambda s: (s.region, tiers.get(s.service, 3), s.certificate)
    )
    region = open_ones[0].region if open_ones else bad[0].region
    fresh = sum(1 for s in statuses if not s.wrong and s.issued_within(SPACING, at))
    taken = [s for s in open_ones if s.region == region][: max(per_wave - fresh, 0)]
    of_tenant = {t: tuple(s for s in taken if s.tenant == t) for t in dict.fromkeys(s.tenant for s in taken)}
    return Wave(region, of_tenant, len(open_ones) - len(taken), held)
