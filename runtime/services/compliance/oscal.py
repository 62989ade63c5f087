"""A posture as an OSCAL 1.1 assessment-results document (NIST), the form auditors' tools read.

Satisfied and not satisfied are all OSCAL has: unknown is `not-satisfied` with the reason `other`. Ids are UUIDs made
from what they stand for, so the same posture gives the same document.
"""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID, uuid5

from pydantic import ConfigDict, Field

from domain.base import Frozen, UtcDatetime, canonical_text
from domain.compliance import ComplianceFinding, CompliancePosture, ControlPosture, StatePosture

VERSION = "1.1.2"
# Names below which all ids of this export lie: a fixed random UUID of ours.
_SPACE = UUID("7d4f3c6e-51b4-4b0e-9a53-2f6c8be01d17")
_NS = "urn:opsmesh:compliance"


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Oscal(Frozen):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True, validate_default=True
    )


class Property(_Oscal):
    """A name and a value of ours."""

    name: str
    value: str
    ns: str = _NS


class Metadata(_Oscal):
    """Of the document as a whole."""

    title: str
    last_modified: UtcDatetime
    version: str
    oscal_version: str = VERSION
    props: tuple[Property, ...]


class ImportAp(_Oscal):
    """The plan that was followed: the control table, by its digest."""

    href: str


class ControlId(_Oscal):
    """One control that was looked at."""

    control_id: str


class ControlSelection(_Oscal):
    """The controls of one result."""

    include_controls: tuple[ControlId, ...]


class ReviewedControls(_Oscal):
    """All controls of one result."""

    control_selections: tuple[ControlSelection, ...]


class Subject(_Oscal):
    """The resource an observation is about, as listed among the local definitions."""

    subject_uuid: UUID
    type: Literal["inventory-item"] = "inventory-item"
    title: str


class Evidence(_Oscal):
    """One value that was read, and where."""

    description: str


class Observation(_Oscal):
    """What one control found on one resource."""

    uuid: UUID
    title: str
    description: str
    props: tuple[Property, ...]
    methods: tuple[Literal["TEST"], ...] = ("TEST",)
    subjects: tuple[Subject, ...]
    relevant_evidence: tuple[Evidence, ...] | None = None
    collected: UtcDatetime


class TargetStatus(_Oscal):
    """Whether the control is met."""

    state: Literal["satisfied", "not-satisfied"]
    reason: Literal["pass", "fail", "other"]


class Target(_Oscal):
    """The control a finding is about."""

    type: Literal["objective-id"] = "objective-id"
    target_id: str
    status: TargetStatus


class RelatedObservation(_Oscal):
    """One observation a finding rests on."""

    observation_uuid: UUID


class Finding(_Oscal):
    """One control over all its resources."""

    uuid: UUID
    title: str
    description: str
    target: Target
    related_observations: tuple[RelatedObservation, ...] | None = None


class InventoryItem(_Oscal):
    """One resource."""

    uuid: UUID
    description: str


class LocalDefinitions(_Oscal):
    """The resources of one result."""

    inventory_items: tuple[InventoryItem, ...]


class Result(_Oscal):
    """One state of the environment, judged."""

    uuid: UUID
    title: str
    description: str
    start: UtcDatetime
    local_definitions: LocalDefinitions | None = None
    reviewed_controls: ReviewedControls
    observations: tuple[Observation, ...] | None = None
    findings: tuple[Finding, ...]


class AssessmentResults(_Oscal):
    """The results of one judging."""

    uuid: UUID
    metadata: Metadata
    import_ap: ImportAp
    results: tuple[Result, ...]


class AssessmentResultsDocument(_Oscal):
    """The document's root."""

    assessment_results: AssessmentResults = Field(description="The only member of the root.")


def assessment_results(posture: CompliancePosture) -> AssessmentResultsDocument:
    """Return the posture as a document; what has no entries is left out of it, as the schema demands."""
    made = _Ids(posture)
    return AssessmentResultsDocument(
        assessment_results=AssessmentResults(
            uuid=made.id(),
            metadata=Metadata(
                title=f"Compliance of {posture.tenant} in {posture.environment}",
                last_modified=posture.at,
                version=posture.at.isoformat(),
                props=(Property(name="policy-digest", value=posture.policy),),
            ),
            import_ap=ImportAp(href=f"{_NS}:policy:{posture.policy}"),
            results=tuple(_result(made, state) for state in posture.states),
        )
    )


class _Ids:
    def __init__(self, posture: CompliancePosture) -> None:
        self.at = posture.at
        self._root = (posture.environment, posture.tenant, posture.at.isoformat(), posture.policy)

    def id(self, *parts: str) -> UUID:
        """Return the id of a part of this document."""
        return uuid5(_SPACE, canonical_text([*self._root, *parts]))


def _result(made: _Ids, state: StatePosture) -> Result:
    found = [f for control in state.controls for f in control.findings]
    resources = sorted({f.resource for f in found})
    items = tuple(InventoryItem(uuid=made.id(state.scope, "item", r), description=r) for r in resources)
    listed = ControlSelection(include_controls=tuple(ControlId(control_id=c.control) for c in state.controls))
    return Result(
        uuid=made.id(state.scope),
        title=f"{state.scope} state",
        description=f"The {state.scope} state {state.state} judged control by control",
        start=made.at,
        local_definitions=LocalDefinitions(inventory_items=items) if items else None,
        reviewed_controls=ReviewedControls(control_selections=(listed,)),
        observations=tuple(_observation(made, state.scope, f) for f in found) or None,
        findings=tuple(_finding(made, state.scope, control) for control in state.controls),
    )


def _observation(made: _Ids, scope: str, found: ComplianceFinding) -> Observation:
    evidence = tuple(
        Evidence(description=f"{e.path or 'resource'} = {canonical_text(e.value)}") for e in found.evidence
    )
    return Observation(
        uuid=made.id(scope, "observation", found.control, found.resource),
        title=f"{found.control} on {found.resource}",
        description=f"{found.control} is {found.status.replace('_', ' ')} on {found.resource}",
        props=tuple(_properties(found)),
        subjects=(Subject(subject_uuid=made.id(scope, "item", found.resource), title=found.resource),),
        relevant_evidence=evidence or None,
        collected=made.at,
    )


def _properties(found: ComplianceFinding) -> Iterable[Property]:
    yield Property(name="status", value=found.status)
    if found.tenant:
        yield Property(name="tenant", value=found.tenant)
    if found.waiver:
        yield Property(name="waived-by", value=found.waiver.by)
        yield Property(name="waived-until", value=found.waiver.expires_at.isoformat())


def _finding(made: _Ids, scope: str, control: ControlPosture) -> Finding:
    met = control.status == "satisfied"
    reason = "pass" if met else "other" if control.status == "unknown" else "fail"
    related = tuple(
        RelatedObservation(observation_uuid=made.id(scope, "observation", f.control, f.resource))
        for f in control.findings
    )
    return Finding(
        uuid=made.id(scope, "finding", control.control),
        title=control.control,
        description=control.title,
        target=Target(
            target_id=control.control,
            status=TargetStatus(state="satisfied" if met else "not-satisfied", reason=reason),
        ),
        related_observations=related or None,
    )
