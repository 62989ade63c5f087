"""One argument model per command kind. Closed, typed, with units in the names: nothing free-form reaches a tool."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.base import Frozen, Slug, UtcDatetime
from domain.policies import ScalingPolicy, TrafficPolicy

Replicas = Field(ge=0, le=1000)
Ratio = Field(ge=0, le=1)


class ServiceScale(Frozen):
    """Set the replicas of a service that no scaling policy owns."""

    service: Slug
    replicas: int = Replicas


class ServiceResize(Frozen):
    """Set the requests of each replica."""

    service: Slug
    cpu_millicores: int = Field(gt=0, le=128_000)
    memory_mib: int = Field(gt=0, le=1_048_576)


class ServiceRollback(Frozen):
    """Return to a version that ran before."""

    service: Slug
    to_version: Slug


class ServiceRestart(Frozen):
    """Restart replicas one after another; `reason` is one of a closed list, never free text."""

    service: Slug
    reason: Literal["memory_pressure", "hung", "stale_connections", "stale_config", "operator"] = "operator"


class ServiceConfigure(Frozen):
    """Set one configuration key to a value, or remove it."""

    service: Slug
    key: Slug
    value: str | None = Field(max_length=4096)


class ServiceRelocate(Frozen):
    """Move a service to another region."""

    service: Slug
    to_region: Slug


class ServiceSchedule(Frozen):
    """Run a service only in stated hours (UTC)."""

    service: Slug
    on_hour_utc: int = Field(ge=0, le=23)
    off_hour_utc: int = Field(ge=0, le=23)


class ScalingPolicyUpdate(Frozen):
    """Replace the scaling policy of a service."""

    service: Slug
    policy: ScalingPolicy


class NodePoolScale(Frozen):
    """Set the nodes of a pool."""

    node_pool: Slug
    node_count: int = Replicas


class NodePoolChangeSku(Frozen):
    """Move a pool to another machine type."""

    node_pool: Slug
    sku: Slug


class NodeDrain(Frozen):
    """Evict everything from one node."""

    node: Slug
    node_pool: Slug


class TrafficShift(Frozen):
    """Set region weights of a service, and of others that have to move with it, until an instant."""

    service: Slug
    also: tuple[Slug, ...] = ()
    region_weights: dict[Slug, float] = Field(min_length=1)
    duration_s: int = Field(gt=0, le=86_400, default=3600)


class TrafficPolicyApply(Frozen):
    """Replace the traffic policy of a service."""

    service: Slug
    policy: TrafficPolicy


class ReleaseStep(Frozen):
    """Promote, pause, resume or abort the release of a service; abort also takes back one that has finished."""

    service: Slug


class TenantThrottle(Frozen):
    """Limit a tenant's ingress rate until an override ends."""

    tenant: Slug
    rate_limit_rps: float = Field(gt=0)
    duration_s: int = Field(gt=0, le=86_400, default=3600)


class TenantRebind(Frozen):
    """Bind a tenant to another primary region."""

    tenant: Slug
    primary_region: Slug


class RegionFailover(Frozen):
    """Promote the paired region."""

    from_region: Slug
    to_region: Slug
    tenants: tuple[Slug, ...] = Field(default=(), max_length=1000)
    """Only these tenants' stores; everybody's whose residency allows it where none is named."""


class DataStoreConfigure(Frozen):
    """Set one property of a data store."""

    data_store: Slug
    max_connections: int | None = Field(default=None, gt=0, le=100_000)
    backup_retention_days: int | None = Field(default=None, ge=1, le=3650)
    encrypted_at_rest: bool | None = None


class DriftAction(Frozen):
    """Correct, adopt or ignore one drift finding."""

    resource: Slug
    path: str
    until: UtcDatetime | None = None


ControlledResource = Annotated[
    str, StringConstraints(pattern=r"^(service|data_store|certificate|tenant)/[A-Za-z0-9][A-Za-z0-9._:@+-]{0,150}$")
]
"""Address of something that controls judge: `data_store/orders-db`."""


class ComplianceRemediate(Frozen):
    """Make one resource meet one control."""

    control: Slug
    resource: ControlledResource


class ComplianceWaive(Frozen):
    """Let one resource not meet one control until an instant; somebody answers for it."""

    control: Slug
    resource: ControlledResource
    until: UtcDatetime
    accountable: Slug
    """The person who answers for it: of the tenant, with an approving role there, other than who proposes it."""
    reason: str = Field(min_length=1, max_length=500)


class ChaosStep(Frozen):
    """Run or abort one experiment document."""

    experiment: Slug


class RestorePointCreate(Frozen):
    """Take one consistent cut over a tenant's data stores."""

    tenant: Slug
    data_stores: tuple[Slug, ...] = Field(default=(), max_length=100)
    """None named means all that hold the tenant's rows."""
    region: Slug | None = None
    """Where it shall lie; None means the tenant's paired region where its residency allows that."""


class RestoreRun(Frozen):
    """Restore a tenant from a restore point, for real or as a trial."""

    restore_point: Slug
    tenant: Slug
    to: UtcDatetime | None = None
    """An instant after the point's cut, to which the log is played; None means the cut itself."""


class FailoverDrill(Frozen):
    """Rehearse a region failover without moving tenants."""

    from_region: Slug
    to_region: Slug


class CertificateRotate(Frozen):
    """Issue and serve a new certificate."""

    certificate: Slug


class SecretRotate(Frozen):
    """Rotate a secret with two-user overlap."""

    secret: Slug


class IssuerDistrust(Frozen):
    """Let nothing count that an issuer signed so far; all of it is issued anew, in waves."""

    issuer: Slug


class PackChange(Frozen):
    """Install, upgrade or uninstall a marketplace pack."""

    pack: Slug
    version: Slug | None = None
    """None means the newest there is."""
    parameters: dict[Slug, bool | int | float | str] = Field(
        default_factory=dict[str, bool | int | float | str], max_length=50
    )


class PackUpgrade(PackChange):
    """Upgrade it for the tenant itself or, asked by the platform, for several: back for all where one fares worse."""

    tenants: tuple[Slug, ...] = Field(default=(), max_length=100)
    """The canary first, then the others one by one; each keeps its own parameters. Empty means the tenant itself."""
    bake_s: int = Field(default=900, ge=300, le=7200)
    """How long each of several is watched before the next. Shorter ones hold too few samples to judge."""


class PolicyActivate(Frozen):
    """Make another policy set the active one."""

    policy_digest: str


class AutonomyChange(Frozen):
    """Change the autonomy level of an environment and command kind."""

    environment: Slug
    kind: Slug | Literal["*"]
    """A command kind, or `*` for the environment's own level."""
    level: Literal["observe", "propose", "act"]


class AlertSilence(Frozen):
    """Silence one alert for a while."""

    alert: Slug
    duration_s: int = Field(gt=0, le=604_800)


class OperationCancel(Frozen):
    """Stop a recorded operation that has not ended; what it cannot stop it says."""

    operation: Slug


class TicketOpen(Frozen):
    """Tell the owner what is wrong and which action is missing."""

    owner_team: Slug
    title: str = Field(min_length=1, max_length=200)
    cause: str = Field(min_length=1, max_length=2000)
    missing_action: str = Field(min_length=1, max_length=2000)
    severity: Literal["info", "warning", "error", "critical"] = "warning"
