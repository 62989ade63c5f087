"""Residency: where a tenant's work runs and where its data, copies, backups, logs and evidence go."""

from analysis.compliance.estate import Estate
from analysis.compliance.verdicts import Verdict, unknown
from domain.compliance import Demand, Fact
from domain.ids import TenantId


def compute_stays(estate: Estate, name: str, _: Demand) -> Verdict:
    """A service runs in, and gets traffic in, regions that everybody whose data it handles allows."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    if service is None or state is None or not service.regions:
        return unknown("regions" if state else "")
    weighted = {f"traffic.region_weights.{r}": r for r, w in state.traffic.region_weights.items() if w > 0}
    read = {f"regions.{k}": region for k, region in enumerate(service.regions)} | weighted
    return _stays(estate, estate.concerned("service", name), read)


def data_stays(estate: Estate, name: str, _: Demand) -> Verdict:
    """A store and its standby copy lie in regions that everybody whose data it holds allows."""
    store, state = estate.data_stores.get(name), estate.state.data_stores.get(name)
    if store is None or state is None:
        return unknown("region" if state else "")
    read = {"region": store.region} | ({"replica_region": state.replica_region} if state.replica_region else {})
    return _stays(estate, estate.concerned("data_store", name), read)


def backups_stay(estate: Estate, name: str, _: Demand) -> Verdict:
    """The backups of a store lie in regions that everybody whose data it holds allows."""
    store, state = estate.data_stores.get(name), estate.state.data_stores.get(name)
    if store is None or state is None:
        return unknown("region" if state else "")
    read = {"backup_region": state.backup_region} if state.backup_region else {"region": store.region}
    return _stays(estate, estate.concerned("data_store", name), read)


def failover_stays(estate: Estate, name: str, _: Demand) -> Verdict:
    """A tenant's own region and the one it would fail over to are among those it allows."""
    binding = estate.bindings[TenantId(name)]
    read = {"primary_region": estate.primary_region(name)}
    read |= {"paired_region": binding.paired_region} if binding.paired_region else {}
    return _stays(estate, frozenset({binding.tenant}), read)


def logs_stay(estate: Estate, name: str, _: Demand) -> Verdict:
    """A tenant's logs are kept where it allows."""
    region = estate.settings(name).logs_region
    read = {"logs_region": region} if region else {"primary_region": estate.primary_region(name)}
    return _stays(estate, frozenset({TenantId(name)}), read)


def evidence_stays(estate: Estate, name: str, _: Demand) -> Verdict:
    """A tenant's evidence goes to no model, chat or log endpoint that its binding does not name."""
    allowed = estate.bindings[TenantId(name)].residency.evidence_endpoints
    facts = tuple(Fact(path=f"evidence_hosts.{k}", value=h) for k, h in enumerate(estate.settings(name).evidence_hosts))
    outside = tuple(f for f in facts if f.value not in allowed)
    if outside:
        return "not_satisfied", outside
    return "satisfied", facts or (Fact(path="evidence_hosts", value=[]),)


def _stays(estate: Estate, tenants: frozenset[TenantId], read: dict[str, str]) -> Verdict:
    allowed = estate.allowed_regions(tenants)
    facts = tuple(Fact(path=path, value=region) for path, region in read.items())
    if allowed is None:
        missing = sorted(t for t in tenants if t not in estate.bindings)
        return "unknown", (*facts, *(Fact(path=f"tenant/{t}/residency.allowed_regions") for t in missing))
    outside = tuple(f for f in facts if f.value not in allowed)
    return ("not_satisfied", outside) if outside else ("satisfied", facts)
