"""Desired state: one versioned document per environment = base + overrides, changed only by typed patches.

Each override names the command that owns it and when it ends. Each field has one owner: where a ScalingPolicy
exists, it owns the replicas; releases own the split between versions.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime

from pydantic import Field, JsonValue, ValidationError

from domain.base import Digest, Frozen, Slug, UtcDatetime, digest_of
from domain.changes import Patch, PatchPath
from domain.errors import Invalid
from domain.ids import CommandId, EnvironmentId, TenantId
from domain.policies import (
    CacheTierPolicy,
    CdnPolicy,
    DriftPolicy,
    HealthPolicy,
    PodProfile,
    RunHours,
    ScalingPolicy,
    TrafficPolicy,
    VersionSplit,
    WafPolicy,
)
from domain.topology import EntityKind

SECTIONS: tuple[tuple[str, EntityKind], ...] = (
    ("services", "service"),
    ("node_pools", "node_pool"),
    ("data_stores", "data_store"),
    ("tenants", "tenant"),
)
"""Sections of a document and the kind of entity in each, as it stands in addresses."""


class ServiceState(Frozen):
    """What a service shall be."""

    version: Slug
    replicas: int = Field(ge=0, le=1000)
    cpu_millicores: int = Field(gt=0, le=128_000)
    memory_mib: int = Field(gt=0, le=1_048_576)
    config: dict[Slug, str] = Field(default_factory=dict[str, str])
    scaling: ScalingPolicy | None = None
    schedule: RunHours | None = None
    """When it runs; None means always. Outside its hours it has no replicas, whoever owns them inside."""
    deferrable: RunHours | None = None
    """Hours in which its owner lets it run instead, as many as `schedule` has; None: its hours are not to be moved."""
    traffic: TrafficPolicy = TrafficPolicy()
    split: VersionSplit | None = None
    """The version beside this one; a release owns it."""
    health: HealthPolicy = HealthPolicy()
    drift: DriftPolicy = DriftPolicy()
    ingress_from: tuple[str, ...] = ("10.0.0.0/8",)
    """Networks (CIDR) that may open connections to it; private ones unless somebody says otherwise."""
    zone_spread: bool = True
    """Replicas are spread over the zones of a region; False keeps them all in one."""
    serves_tls: bool = True
    """Connections to it are encrypted: its certificate to the outside, the mesh's own inside."""
    pod: PodProfile = PodProfile()
    cdn: CdnPolicy | None = None
    waf: WafPolicy | None = None
    cache_tier: CacheTierPolicy | None = None


class NodePoolState(Frozen):
    """What a node pool shall be."""

    node_count: int = Field(ge=0, le=1000)
    sku: Slug
    drained: tuple[Slug, ...] = ()


class DataStoreState(Frozen):
    """What a data store shall be."""

    encrypted_at_rest: bool = True
    backup_retention_days: int = Field(ge=0, le=3650, default=7)
    """0 means that no backups are taken."""
    max_connections: int = Field(gt=0, le=100_000, default=200)
    replica_region: Slug | None = None
    """Where a standby copy is kept; None means that there is none."""
    backup_region: Slug | None = None
    """Where its backups are kept; None means beside it."""


class PackField(Frozen):
    """One field a pack wrote, and what stood there before."""

    path: PatchPath
    value: JsonValue
    before: JsonValue = None


class PackState(Frozen):
    """One marketplace pack as it is installed: exactly which, with which parameters, and what it wrote."""

    version: Slug
    digest: Digest
    """Of the signed manifest, which names every file by digest."""
    parameters: dict[Slug, bool | int | float | str] = Field(default_factory=dict[str, bool | int | float | str])
    fields: tuple[PackField, ...] = ()


class TenantState(Frozen):
    """Per-tenant settings of an environment."""

    rate_limit_rps: float | None = Field(gt=0, default=None)
    """Ingress throttle of all the tenant's requests; None means unlimited."""
    primary_region: Slug | None = None
    """Where its users are led and its data is written; None means as it was bound first."""
    logs_region: Slug | None = None
    """Where its logs are kept; None means in its primary region."""
    evidence_hosts: tuple[Slug, ...] = ()
    """Hosts of the model, chat and log endpoints that its evidence is sent to."""
    packs: dict[Slug, PackState] = Field(default_factory=dict[str, PackState])
    """Installed marketplace packs by name."""
    packs_taken_off: dict[Slug, Slug] = Field(default_factory=dict[str, str])
    """The version of each pack that was taken off: an older one does not come back that way."""


class EnvironmentState(Frozen):
    """The resources of one environment, keyed by id."""

    services: dict[Slug, ServiceState] = Field(default_factory=dict[str, ServiceState])
    node_pools: dict[Slug, NodePoolState] = Field(default_factory=dict[str, NodePoolState])
    data_stores: dict[Slug, DataStoreState] = Field(default_factory=dict[str, DataStoreState])
    tenants: dict[Slug, TenantState] = Field(default_factory=dict[str, TenantState])


class Override(Frozen):
    """A temporary value on one path, owned by one command."""

    path: PatchPath
    value: JsonValue
    command: CommandId
    expires_at: UtcDatetime


class DesiredState(Frozen):
    """The versioned document of one environment."""

    environment: EnvironmentId
    tenant: TenantId
    version: int = Field(ge=1)
    base: EnvironmentState
    overrides: tuple[Override, ...] = ()

    def effective(self, at: datetime) -> EnvironmentState:
        """Return the base with every override that has not ended applied, oldest first."""
        document = self.base.model_dump(mode="json")
        for override in self.overrides:
            if override.expires_at > at:
                _write(document, override.path, override.value)
        return EnvironmentState.model_validate(document)

    def value_at(self, path: PatchPath, at: datetime) -> JsonValue:
        """Return the effective JSON value at a path, None where nothing is."""
        return read_path(self.effective(at).model_dump(mode="json"), path)

    def subtree_digest(self, path: PatchPath, at: datetime) -> Digest:
        """Return the digest of the effective value at a path."""
        return digest_of(self.value_at(path, at))


def field_owner(state: EnvironmentState, path: PatchPath) -> str | None:
    """Name who owns a field when it is not the caller's to set: policies own what they steer."""
    match path:
        case ("services", service, "replicas") if (
            (s := state.services.get(service)) and s.scaling and s.scaling.enabled
        ):
            return f"service/{service}/scaling"
        case ("services", service, "split", *_):
            return f"service/{service}/release"
        case _:
            return None


def apply_patches(desired: DesiredState, patches: Sequence[Patch], *, command: CommandId, at: datetime) -> DesiredState:
    """Return the next version of the document with the patches applied.

    Raises Invalid when a path does not exist in the model, a value does not fit it, or a field has another owner.
    """
    state = desired.effective(at)
    base = desired.base.model_dump(mode="json")
    overrides = [o for o in desired.overrides if o.expires_at > at]
    for patch in patches:
        if (owner := field_owner(state, patch.path)) is not None:
            msg = f"{'.'.join(patch.path)} is owned by {owner}: change that policy instead"
            raise Invalid(msg, reason="field_owned")
        overrides = [o for o in overrides if o.path != patch.path]
        if patch.override_until is not None and patch.op == "set":
            ends = datetime.fromisoformat(patch.override_until)
            overrides.append(Override(path=patch.path, value=patch.value, command=command, expires_at=ends))
        elif patch.override_until is None:
            _write(base, patch.path, patch.value, remove=patch.op == "remove")
    try:
        result = DesiredState(
            environment=desired.environment,
            tenant=desired.tenant,
            version=desired.version + 1,
            base=EnvironmentState.model_validate(base),
            overrides=tuple(overrides),
        )
        result.effective(at)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        msg = f"patch does not fit the desired state: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        raise Invalid(msg, reason="patch_invalid") from error
    return result


def read_path(document: JsonValue, path: Sequence[str]) -> JsonValue:
    """Return the JSON value at a path, None where nothing is."""
    node = document
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return deepcopy(node)


def _write(document: dict[str, JsonValue], path: PatchPath, value: JsonValue, *, remove: bool = False) -> None:
    node = document
    for key in path[:-1]:
        child = node.get(key)
        if child is None and not remove:
            child = node[key] = {}
        if not isinstance(child, dict):
            msg = f"no such path: {'.'.join(path)}"
            raise Invalid(msg, reason="path_unknown")
        node = child
    if remove:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = value
