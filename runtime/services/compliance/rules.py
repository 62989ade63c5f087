"""The rules that controls are made of: pure, one resource at a time, each verdict with the values it rests on."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from domain.compliance import ComplianceStatus, Fact
from domain.ids import TenantId
from runtime.services.compliance.estate import Estate, Parameters

Verdict = tuple[ComplianceStatus, tuple[Fact, ...]]
Rule = Callable[[Estate, str, Parameters], Verdict]
# Networks nobody outside can send from: RFC 1918, RFC 6598, loopback, RFC 4193.
_PRIVATE_4 = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")))
_PRIVATE_6 = tuple(map(IPv6Network, ("fc00::/7", "::1/128")))


def compute_stays(estate: Estate, name: str, _: Parameters) -> Verdict:
    """A service runs in, and gets traffic in, regions that everybody whose data it handles allows."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    if service is None or state is None or not service.regions:
        return _unknown("regions" if state else "")
    weighted = {f"traffic.region_weights.{r}": r for r, w in state.traffic.region_weights.items() if w > 0}
    read = {f"regions.{k}": region for k, region in enumerate(service.regions)} | weighted
    return _stays(estate, estate.concerned("service", name), read)


def data_stays(estate: Estate, name: str, _: Parameters) -> Verdict:
    """A store and its standby copy lie in regions that everybody whose data it holds allows."""
    store, state = estate.data_stores.get(name), estate.state.data_stores.get(name)
    if store is None or state is None:
        return _unknown("region" if state else "")
    read = {"region": store.region} | ({"replica_region": state.replica_region} if state.replica_region else {})
    return _stays(estate, estate.concerned("data_store", name), read)


def failover_stays(estate: Estate, name: str, _: Parameters) -> Verdict:
    """A tenant's own region and the one it would fail over to are among those it allows."""
    binding = estate.bindings[TenantId(name)]
    read = {"primary_region": binding.primary_region}
    read |= {"paired_region": binding.paired_region} if binding.paired_region else {}
    return _stays(estate, frozenset({binding.tenant}), read)


def encrypted(estate: Estate, name: str, _: Parameters) -> Verdict:
    """A store is encrypted at rest."""
    state = estate.state.data_stores.get(name)
    if state is None:
        return _unknown()
    return _when(state.encrypted_at_rest, Fact(path="encrypted_at_rest", value=state.encrypted_at_rest))


def backed_up(estate: Estate, name: str, wanted: Parameters) -> Verdict:
    """Backups of a store are kept long enough."""
    state = estate.state.data_stores.get(name)
    if state is None:
        return _unknown()
    kept = state.backup_retention_days
    return _when(kept >= wanted.min_retention_days, Fact(path="backup_retention_days", value=kept))


def not_exposed(estate: Estate, name: str, wanted: Parameters) -> Verdict:
    """No network that may connect to a service is public and as wide as the world."""
    state = estate.state.services.get(name)
    if state is None:
        return _unknown()
    facts = [Fact(path=f"ingress_from.{k}", value=text) for k, text in enumerate(state.ingress_from)]
    verdicts: list[ComplianceStatus] = [_exposure(text, wanted.widest_public_prefix) for text in state.ingress_from]
    return _worst(verdicts, facts)


def certificate_lasts(estate: Estate, name: str, wanted: Parameters) -> Verdict:
    """A certificate does not end within the days that renewing it may take."""
    ends = estate.certificates[name].not_after
    return _when(
        ends > estate.at + timedelta(days=wanted.min_certificate_days), Fact(path="not_after", value=ends.isoformat())
    )


def zones_spread(estate: Estate, name: str, wanted: Parameters) -> Verdict:
    """A service of a demanding tier is spread over the zones of its regions, and each has at least two."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    if service is None or state is None:
        return _unknown("tier" if state else "")
    tier = Fact(path="tier", value=service.tier)
    if service.tier not in wanted.zone_spread_tiers:
        return "satisfied", (tier,)
    flag = Fact(path="zone_spread", value=state.zone_spread)
    if not state.zone_spread:
        return "not_satisfied", (tier, flag)
    zones = [(region, sorted(estate.zones.get(region, ()))) for region in service.regions]
    facts = [flag, *(Fact(path=f"region/{region}/zones", value=[*names]) for region, names in zones)]
    verdicts: list[ComplianceStatus] = [
        "unknown" if not names else "satisfied" if len(names) > 1 else "not_satisfied" for _, names in zones
    ]
    return _worst(verdicts or ["unknown"], facts)


def _stays(estate: Estate, tenants: frozenset[TenantId], read: dict[str, str]) -> Verdict:
    allowed = estate.allowed_regions(tenants)
    facts = tuple(Fact(path=path, value=region) for path, region in read.items())
    if allowed is None:
        missing = sorted(t for t in tenants if t not in estate.bindings)
        return "unknown", (*facts, *(Fact(path=f"tenant/{t}/residency.allowed_regions") for t in missing))
    outside = tuple(f for f in facts if f.value not in allowed)
    return ("not_satisfied", outside) if outside else ("satisfied", facts)


@lru_cache(maxsize=4096)
def _exposure(text: str, widest: tuple[int, int]) -> ComplianceStatus:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "unknown"
    if isinstance(network, IPv4Network):
        inside, bits = any(network.subnet_of(p) for p in _PRIVATE_4), widest[0]
    else:
        inside, bits = any(network.subnet_of(p) for p in _PRIVATE_6), widest[1]
    return "satisfied" if inside or network.prefixlen >= bits else "not_satisfied"


def worst(statuses: Iterable[ComplianceStatus]) -> ComplianceStatus:
    """Return what the statuses come to: not satisfied before unknown before satisfied."""
    found = set(statuses)
    return "not_satisfied" if "not_satisfied" in found else "unknown" if "unknown" in found else "satisfied"


def _worst(verdicts: Sequence[ComplianceStatus], facts: Sequence[Fact]) -> Verdict:
    """The worst verdict with the facts of one; the first facts may stand for all."""
    status = worst(verdicts)
    offset = len(facts) - len(verdicts)
    return status, tuple(f for k, f in enumerate(facts) if k < offset or verdicts[k - offset] == status)


def _when(holds: bool, fact: Fact) -> Verdict:  # noqa: FBT001  # the verdict itself
    return ("satisfied" if holds else "not_satisfied"), (fact,)


def _unknown(path: str = "") -> Verdict:
    """Nothing stands where the value should: the empty path is the resource as a whole."""
    return "unknown", (Fact(path=path),)
