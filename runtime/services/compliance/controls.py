"""The controls as a table of rules, and the digests that say which table judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.base import Digest, digest_of
from domain.topology import EntityKind
from runtime.services.compliance import rules
from runtime.services.compliance.estate import Parameters


@dataclass(frozen=True, slots=True)
class Control:
    """One demand on every resource of a kind. `uses` names the parameters its rule reads."""

    id: str
    title: str
    kind: EntityKind
    rule: rules.Rule
    uses: tuple[str, ...] = ()
    revision: int = 1
    """Raised whenever the rule means something else: code has no digest, this stands in it."""

    def digest(self, wanted: Parameters) -> Digest:
        """Return the digest of the control and the parameters it reads, and of nothing else."""
        values = wanted.model_dump(mode="json", include=set(self.uses))
        return digest_of(
            {"id": self.id, "title": self.title, "kind": self.kind, "rule": self.rule.__name__,
             "revision": self.revision, "parameters": values}
        )  # fmt: skip


CONTROLS: tuple[Control, ...] = (
    Control("residency-compute", "services run and get traffic in allowed regions", "service", rules.compute_stays),
    Control("residency-data", "data and its copies lie in allowed regions", "data_store", rules.data_stays),
    Control("residency-failover", "a tenant fails over to an allowed region", "tenant", rules.failover_stays),
    Control("encryption-at-rest", "data is encrypted at rest", "data_store", rules.encrypted),
    Control(
        "backup-retention", "backups are kept long enough", "data_store", rules.backed_up, ("min_retention_days",)
    ),
    Control("exposure", "no service is open to the world", "service", rules.not_exposed, ("widest_public_prefix",)),
    Control(
        "certificate-expiry", "no certificate ends soon", "certificate", rules.certificate_lasts,
        ("min_certificate_days",),
    ),
    Control(
        "zone-spread", "what matters is spread over zones", "service", rules.zones_spread, ("zone_spread_tiers",)
    ),
)  # fmt: skip


def policy_digest(controls: Sequence[Control] = CONTROLS, wanted: Parameters | None = None) -> Digest:
    """Return the digest of the table with its parameters: what a posture was judged by."""
    return digest_of([c.digest(wanted or Parameters()) for c in controls])
