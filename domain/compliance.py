"""Compliance: the controls of a policy set, what they found on each resource, what was waived, and the posture.

Unknown is a verdict of its own and never counts as passed.
"""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from domain.base import Digest, Frozen, Slug, UtcDatetime, digest_of
from domain.changes import Patch
from domain.command_kinds import Proposer
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.tenancy import Isolation
from domain.topology import EntityKind

ComplianceStatus = Literal["satisfied", "not_satisfied", "unknown"]
RuleName = Literal[
    "compute_stays",
    "data_stays",
    "backups_stay",
    "failover_stays",
    "logs_stay",
    "evidence_stays",
    "encrypted",
    "served_encrypted",
    "isolated",
    "pods_secured",
    "not_exposed",
    "backed_up",
    "certificate_lasts",
    "zones_spread",
]
PodSecurityLevel = Literal["baseline", "restricted"]


class Demand(Frozen):
    """What a rule compares with. Each rule reads the fields that RULES names and no others."""

    min_retention_days: int | None = Field(default=None, ge=0)
    min_days_left: int | None = Field(default=None, ge=0)
    tiers: tuple[int, ...] | None = None
    widest_public_prefix: tuple[int, int] | None = None
    """IPv4 and IPv6 bits."""
    pod_security_level: PodSecurityLevel | None = None


RULES: dict[RuleName, tuple[EntityKind, frozenset[str]]] = {
    "compute_stays": ("service", frozenset()),
    "data_stays": ("data_store", frozenset()),
    "backups_stay": ("data_store", frozenset()),
    "failover_stays": ("tenant", frozenset()),
    "logs_stay": ("tenant", frozenset()),
    "evidence_stays": ("tenant", frozenset()),
    "encrypted": ("data_store", frozenset()),
    "served_encrypted": ("service", frozenset()),
    "isolated": ("tenant", frozenset()),
    "pods_secured": ("service", frozenset({"pod_security_level"})),
    "not_exposed": ("service", frozenset({"widest_public_prefix"})),
    "backed_up": ("data_store", frozenset({"min_retention_days"})),
    "certificate_lasts": ("certificate", frozenset({"min_days_left"})),
    "zones_spread": ("service", frozenset({"tiers"})),
}
"""What each rule is about, and the fields of a demand it needs."""


class Control(Frozen):
    """One demand on every resource of a kind: a row of the policy set's control file."""

    id: Slug
    title: str
    rule: RuleName
    revision: int = Field(default=1, ge=1)
    """Raised whenever the rule comes to mean something else: code has no digest, this stands in it."""
    found_by: Proposer = "compliance_drift"
    """Who raises the finding: each has one owner."""
    demand: Demand = Demand()
    by_isolation: dict[Isolation, Demand] = Field(default_factory=dict[Isolation, Demand])
    """Other demands on resources of tenants whose binding says so."""

    @property
    def kind(self) -> EntityKind:
        """Return what it is about."""
        return RULES[self.rule][0]

    @property
    def digest(self) -> Digest:
        """Return the digest of everything a verdict of it depends on besides the resource."""
        return digest_of(self.model_dump(mode="json", exclude={"title", "found_by"}))

    def demand_of(self, isolation: Isolation | None) -> Demand:
        """Return what is demanded of a tenant isolated so; of nobody's resources, the general demand."""
        return self.demand if isolation is None else self.by_isolation.get(isolation, self.demand)

    @model_validator(mode="after")
    def _demands_what_its_rule_reads(self) -> Self:
        needed = RULES[self.rule][1]
        for demand in (self.demand, *self.by_isolation.values()):
            if demand.model_dump(exclude_none=True).keys() != needed:
                msg = f"{self.id}: {self.rule} reads {', '.join(sorted(needed)) or 'no demand'}"
                raise ValueError(msg)
        return self


class ControlSet(Frozen):
    """The controls of one policy set."""

    policy: Digest
    """Of the whole policy set that they are part of."""
    max_waiver_days: int = Field(gt=0)
    controls: tuple[Control, ...] = Field(min_length=1)

    def control(self, name: str) -> Control | None:
        """Return the control of that id, None where the set has none."""
        return next((c for c in self.controls if c.id == name), None)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [c.id for c in self.controls]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            msg = f"two controls share an id: {', '.join(doubled)}"
            raise ValueError(msg)
        return self


class Fact(Frozen):
    """One value that a verdict rests on: where it was read and what stood there."""

    path: str
    """Dotted path from the resource's own root, or the address of something else and the path in it."""
    value: JsonValue = None


class Waiver(Frozen):
    """Somebody answers for one control not being met on one resource of one tenant, until it expires."""

    tenant: TenantId
    control: Slug
    resource: str
    """Address: `service/checkout`."""
    reason: str
    by: PrincipalId
    expires_at: UtcDatetime


class ComplianceFinding(Frozen):
    """The verdict of one control on one resource."""

    control: Slug
    resource: str
    tenant: TenantId | None
    """The owner; None where nothing says whose it is."""
    status: ComplianceStatus
    evidence: tuple[Fact, ...]
    waiver: Waiver | None = None
    """Only on `not_satisfied`: it then counts as passed. What is unknown cannot be waived."""
    remedy: tuple[Patch, ...] = ()
    """Writes to desired state that would meet the control; none where no field can."""

    @property
    def passed(self) -> bool:
        """Tell whether nothing is to be done: satisfied, or not and waived."""
        return self.status == "satisfied" or self.waiver is not None


class ControlPosture(Frozen):
    """One control over all its resources."""

    control: Slug
    title: str
    kind: EntityKind
    digest: Digest
    """Of the control with its demands: findings are judged again where it changed."""
    status: ComplianceStatus
    findings: tuple[ComplianceFinding, ...]


class TenantPosture(Frozen):
    """How many verdicts of each kind there are on one tenant's resources, and their sum in one word."""

    tenant: TenantId | None
    status: ComplianceStatus
    satisfied: int
    not_satisfied: int
    unknown: int
    waived: int


class StatePosture(Frozen):
    """What was judged of one state of the environment: the one that shall be or the one that is."""

    scope: Literal["desired", "live"]
    state: Digest
    status: ComplianceStatus
    tenants: tuple[TenantPosture, ...]
    controls: tuple[ControlPosture, ...]


class CompliancePosture(Frozen):
    """The answer to `GET /runtime/compliance/{environment}`, as far as the tenant may see."""

    environment: EnvironmentId
    tenant: TenantId
    at: UtcDatetime
    policy: Digest
    """Of the policy set whose controls judged."""
    states: tuple[StatePosture, ...]
