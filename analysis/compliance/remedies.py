"""What would make a control be met: typed writes to desired state, one remedy per rule where a field has one.

Where desired state meets the control already, its own values are written again: what runs differs, and writing them is
what makes it follow.
"""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from analysis.compliance.controls import RULE_OF
from analysis.compliance.estate import Estate
from analysis.compliance.workloads import exposure
from domain.changes import Patch, PatchPath
from domain.compliance import ComplianceFinding, Control, Demand, RuleName
from domain.desired import SECTIONS, ServiceState, read_path
from domain.ids import TenantId
from domain.policies import PodProfile

Remedy = Callable[[Estate, str, Demand], Mapping[PatchPath, JsonValue]]
"""From the desired estate, the resource's name and the demand to the fields to write and their values."""
_SECTION = {kind: section for section, kind in SECTIONS}


def with_remedy(finding: ComplianceFinding, control: Control, desired: Estate) -> ComplianceFinding:
    """Return the finding with the writes that would end it; as it is where nothing is wrong or nothing is known."""
    if finding.status != "not_satisfied" or control.rule not in _REMEDIES:
        return finding
    section, name = _SECTION[control.kind], finding.resource.partition("/")[2]
    demand = control.demand_of(desired.isolation(finding.tenant))
    fields = _REMEDIES[control.rule](desired, name, demand)
    held = desired.state.model_dump(mode="json", include={section: {name}})[section].get(name)
    if held is not None and RULE_OF[control.rule](desired, name, demand)[0] == "satisfied":
        fields = {path: read_path(held, path) for path in fields}
    patches = tuple(Patch(op="set", path=(section, name, *path), value=value) for path, value in fields.items())
    return finding.model_copy(update={"remedy": patches})


def _encrypt(_estate: Estate, _name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    return {("encrypted_at_rest",): True}


def _serve_encrypted(_estate: Estate, _name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    return {("serves_tls",): True}


def _keep(_estate: Estate, _name: str, demand: Demand) -> Mapping[PatchPath, JsonValue]:
    return {("backup_retention_days",): demand.min_retention_days}


def _close(estate: Estate, name: str, demand: Demand) -> Mapping[PatchPath, JsonValue]:
    state = estate.state.services.get(name)
    widest = demand.widest_public_prefix or (32, 128)
    kept = [n for n in state.ingress_from if exposure(n, widest) == "satisfied"] if state else []
    private: list[JsonValue] = [*ServiceState.model_fields["ingress_from"].get_default()]
    return {("ingress_from",): [*kept] or private}


def _secure(_estate: Estate, _name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    return {("pod",): PodProfile().model_dump(mode="json")}


def _spread(_estate: Estate, _name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    return {("zone_spread",): True}


def _bring_home(estate: Estate, name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    """Keep the standby copy in an allowed region other than the store's own, or have none."""
    store = estate.data_stores.get(name)
    allowed = estate.allowed_regions(estate.concerned("data_store", name)) or frozenset[str]()
    if store is None or store.region not in allowed:
        return {}
    binding = estate.bindings.get(store.tenant)
    paired = binding.paired_region if binding else None
    others = sorted(
        allowed & set(estate.topology.regions) - {store.region}, key=lambda region: (region != paired, region)
    )
    return {("replica_region",): next(iter(others), None)}


def _backups_home(estate: Estate, name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    store = estate.data_stores.get(name)
    allowed = estate.allowed_regions(estate.concerned("data_store", name)) or frozenset[str]()
    return {("backup_region",): None} if store is not None and store.region in allowed else {}


def _logs_home(estate: Estate, name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    allowed = estate.bindings[TenantId(name)].residency.allowed_regions
    return {("logs_region",): None} if estate.primary_region(name) in allowed else {}


def _withhold(estate: Estate, name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    allowed = estate.bindings[TenantId(name)].residency.evidence_endpoints
    return {("evidence_hosts",): [host for host in estate.settings(name).evidence_hosts if host in allowed]}


def _route_home(estate: Estate, name: str, _demand: Demand) -> Mapping[PatchPath, JsonValue]:
    """Send all traffic to the allowed regions, in the shares they had; where the service itself runs is not a field."""
    service, state = estate.services.get(name), estate.state.services.get(name)
    allowed = estate.allowed_regions(estate.concerned("service", name)) or frozenset[str]()
    if service is None or state is None or not set(service.regions) <= allowed:
        return {}
    kept = {region: weight for region, weight in state.traffic.region_weights.items() if region in allowed}
    whole = sum(kept.values())
    return {("traffic", "region_weights"): {r: w / whole for r, w in kept.items()} if whole > 0 else {}}


_REMEDIES: Mapping[RuleName, Remedy] = {
    "encrypted": _encrypt,
    "served_encrypted": _serve_encrypted,
    "backed_up": _keep,
    "not_exposed": _close,
    "pods_secured": _secure,
    "zones_spread": _spread,
    "data_stays": _bring_home,
    "backups_stay": _backups_home,
    "logs_stay": _logs_home,
    "evidence_stays": _withhold,
    "compute_stays": _route_home,
}
"""Not among them: a certificate is rotated, a tenant isolated or bound to another pair by commands of their own."""
