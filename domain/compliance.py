"""Compliance: what a control found on one resource, what was waived, and the posture of tenants and environment.

Unknown is a verdict of its own and never counts as passed.
"""

from typing import Literal

from pydantic import JsonValue

from domain.base import Digest, Frozen, Slug, UtcDatetime
from domain.ids import EnvironmentId, PrincipalId, TenantId
from domain.topology import EntityKind

ComplianceStatus = Literal["satisfied", "not_satisfied", "unknown"]


class Fact(Frozen):
    """One value that a verdict rests on: where it was read and what stood there."""

    path: str
    """Dotted path from the resource's own root, or the address of something else and the path in it."""
    value: JsonValue = None


class Waiver(Frozen):
    """Somebody answers for one control not being met on one resource, until it expires."""

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
    """Of the control with its parameters: findings are judged again where it changed."""
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
    """Of the control table and its parameters."""
    states: tuple[StatePosture, ...]
