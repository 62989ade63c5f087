"""Marketplace packs as the runtime tells them and takes them: what is on the shelf, and what a change would do."""

from typing import Literal

from pydantic import Field, JsonValue

from domain.arguments import PackChange
from domain.base import Digest, Frozen, Slug, UtcDatetime
from domain.changes import Patch, ResourceChange
from domain.desired import PackField
from domain.ids import EnvironmentId, TenantId

PackKind = Literal["topology_blueprint", "scaling_policy", "health_drift_policy", "add_on"]
PackCommand = Literal["pack.install", "pack.upgrade", "pack.uninstall"]


class Listed(Frozen):
    """One version on the shelf. What it says about itself is told only when it was verified for the tenant."""

    name: str
    version: str
    kind: PackKind | None = None
    summary: str = ""
    publisher: str = ""
    refused: str = ""
    """Why the tenant cannot use it; empty where it can."""


class InstalledPack(Frozen):
    """One pack in one environment."""

    environment: EnvironmentId
    pack: Slug
    version: Slug
    digest: Digest
    parameters: dict[Slug, bool | int | float | str]
    newest: str = ""
    """The newest version the tenant could have; empty where there is none."""
    refused: str = ""
    """Why it could not be installed today, as after its key was revoked; it stays until somebody takes it off."""


class PacksAnswer(Frozen):
    """What a tenant can install, and what it has installed."""

    packs: tuple[Listed, ...]
    installed: tuple[InstalledPack, ...]


class PackAnswer(Frozen):
    """One verified pack."""

    name: str
    version: str
    kind: PackKind
    summary: str
    publisher: str
    key: Digest
    digest: Digest
    parameters_schema: dict[str, JsonValue]
    rules: tuple[dict[str, JsonValue], ...]
    readme: str
    versions: tuple[str, ...]


RolloutPhase = Literal["running", "done", "rolled_back"]
PartPhase = Literal["waiting", "held", "baking", "upgraded", "rolled_back"]
"""Held: not touched, because the tenant does not trust the pack, its binding forbids it, or there is nothing to do."""


class RolloutPart(Frozen):
    """How far a rollout is with one tenant."""

    tenant: TenantId
    phase: PartPhase = "waiting"
    former: Slug = ""
    """The version it had."""
    since: UtcDatetime | None = None
    """When this phase began; of a bake, when the target held the new version."""
    detail: str = ""


class RolloutAnswer(Frozen):
    """One rollout: the canary's part first; a tenant sees its own part only."""

    operation: str
    pack: Slug
    version: Slug
    bake_s: int
    phase: RolloutPhase
    detail: str
    parts: tuple[RolloutPart, ...]


class PackPlanBody(Frozen):
    """Ask what a change of a pack would do. Nothing takes effect."""

    kind: PackCommand
    arguments: PackChange


class Between(Frozen):
    """A quantity that autoscaling moves between a floor and a cap."""

    low: float = Field(ge=0)
    high: float = Field(ge=0)


class PackImpact(Frozen):
    """What the tenant's own services cost per hour at list prices and draw as electricity, floor to cap of replicas."""

    cost_usd_per_hour_before: Between
    cost_usd_per_hour_after: Between
    carbon_g_per_hour_before: Between | None = None
    """None where the grid behind a region is not known."""
    carbon_g_per_hour_after: Between | None = None


class PackPlanAnswer(Frozen):
    """The writes a change of a pack means now, and what to know before one agrees to them."""

    version: int
    """Of the document it was worked out on."""
    pack_version: Slug | None
    patches: tuple[Patch, ...]
    changes: tuple[ResourceChange, ...]
    overrides: tuple[PackField, ...]
    """Fields that hold something else now and would be written over."""
    kept: tuple[str, ...]
    """Fields the pack wrote once and somebody changed since: they stay as they are."""
    impact: PackImpact
