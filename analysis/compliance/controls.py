"""The rules by the names that a policy set's controls call them."""

from collections.abc import Mapping

from analysis.compliance import protection, residency, workloads
from analysis.compliance.verdicts import Rule
from domain.compliance import RuleName

RULE_OF: Mapping[RuleName, Rule] = {
    "compute_stays": residency.compute_stays,
    "data_stays": residency.data_stays,
    "backups_stay": residency.backups_stay,
    "failover_stays": residency.failover_stays,
    "logs_stay": residency.logs_stay,
    "evidence_stays": residency.evidence_stays,
    "encrypted": protection.encrypted,
    "served_encrypted": protection.served_encrypted,
    "isolated": protection.isolated,
    "backed_up": protection.backed_up,
    "certificate_lasts": protection.certificate_lasts,
    "pods_secured": workloads.pods_secured,
    "not_exposed": workloads.not_exposed,
    "zones_spread": workloads.zones_spread,
}
