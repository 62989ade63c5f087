"""Protection: encryption at rest and in transit, backups, certificates, and whom a tenant shares with."""

from datetime import timedelta

from analysis.compliance.estate import Estate
from analysis.compliance.verdicts import Verdict, unknown, when
from domain.compliance import Demand, Fact
from domain.ids import TenantId

FACING_OUT = frozenset({"frontend", "gateway"})
"""Archetypes that the outside connects to: those have a certificate of their own to show."""


def encrypted(estate: Estate, name: str, _: Demand) -> Verdict:
    """A store is encrypted at rest."""
    state = estate.state.data_stores.get(name)
    if state is None:
        return unknown()
    return when(state.encrypted_at_rest, Fact(path="encrypted_at_rest", value=state.encrypted_at_rest))


def served_encrypted(estate: Estate, name: str, _: Demand) -> Verdict:
    """A service serves TLS; where the outside connects to it, with a certificate; and none that has ended."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    if service is None or state is None:
        return unknown("archetype" if state else "")
    served = estate.served_by.get(name, ())
    flag = Fact(path="serves_tls", value=state.serves_tls)
    if not state.serves_tls:
        return "not_satisfied", (flag,)
    if not served and service.archetype in FACING_OUT:
        return "not_satisfied", (Fact(path="archetype", value=service.archetype), Fact(path="certificate"))
    ended = tuple(
        Fact(path=f"certificate/{c.id}/not_after", value=c.not_after.isoformat())
        for c in served
        if c.not_after <= estate.at
    )
    return ("not_satisfied", ended) if ended else ("satisfied", (flag,))


def backed_up(estate: Estate, name: str, demand: Demand) -> Verdict:
    """Backups of a store are kept long enough."""
    state = estate.state.data_stores.get(name)
    if state is None or demand.min_retention_days is None:
        return unknown()
    kept = state.backup_retention_days
    return when(kept >= demand.min_retention_days, Fact(path="backup_retention_days", value=kept))


def certificate_lasts(estate: Estate, name: str, demand: Demand) -> Verdict:
    """A certificate does not end within the days that renewing it may take. Whole days count."""
    if demand.min_days_left is None:
        return unknown()
    ends = estate.certificates[name].not_after
    return when((ends - estate.at) // timedelta(days=1) >= demand.min_days_left, _ending(ends.isoformat()))


def isolated(estate: Estate, name: str, _: Demand) -> Verdict:
    """A dedicated tenant shares no node pool and no store, a pooled one no store of its own, a shared one may."""
    tenant = TenantId(name)
    isolation = estate.bindings[tenant].isolation
    facts = [Fact(path="isolation", value=isolation)]
    own = {f"data_store/{d.id}" for d in estate.data_stores.values() if d.tenant == tenant}
    bound = {"dedicated": estate.stands_on.get(tenant, frozenset()), "pooled": own, "shared": frozenset[str]()}
    for address in sorted(bound[isolation]):
        if address not in estate.sharing:
            return "unknown", (*facts, Fact(path=f"{address}/tenants"))
        if others := estate.sharing[address] - {tenant}:
            # How many, not who: tenants do not learn of each other.
            facts.append(Fact(path=f"{address}/other_tenants", value=len(others)))
    return when(len(facts) == 1, *facts)


def _ending(text: str) -> Fact:
    return Fact(path="not_after", value=text)
