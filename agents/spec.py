"""What an agent is and what its run returns. Agents differ in three functions: diagnose, remedies, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from domain.base import Digest
from domain.commands import Prediction, Proposal
from domain.evidence import Diagnosis, EvidencePack
from domain.ids import IncidentId, PrincipalId

Ending = Literal["act", "ticket", "wait", "nothing"]
"""act: a command that should help; ticket: tell the owner what is missing; wait: heals by itself; nothing: no fault."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One command the code considers, with its reason. Only candidates can become proposals."""

    proposal: Proposal
    reason: str
    preference: float
    """How well the kind of fix fits the kind of fault, 0 to 1, before rehearsal and experience."""
    blast_radius: int
    """How many resources of the topology it touches."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """All the code would consider for a diagnosis. `wait_s` says: leave it alone and look again after that time."""

    candidates: tuple[Candidate, ...] = ()
    fallback: Candidate | None = None
    """The ticket for when no command is legal, helps, or held."""
    wait_s: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent."""

    name: str
    principal: PrincipalId
    answers: str
    diagnose: Callable[[EvidencePack], Diagnosis]
    remedies: Callable[[EvidencePack, Diagnosis, int], Remedies]
    """From pack, diagnosis and attempt number (1 is the first)."""
    horizon_s: int = 1800
    """How far rehearsal looks ahead: three hold windows of verification."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a run's trace: what a node concluded."""

    node: str
    note: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A candidate with its prediction, None when no twin is at hand."""

    candidate: Candidate
    prediction: Prediction | None


@dataclass(frozen=True, slots=True)
class AgentRun:
    """The result of one run: a value, without any effect."""

    agent: str
    incident: IncidentId
    evidence_digest: Digest
    attempt: int
    ending: Ending
    diagnosis: Diagnosis
    proposals: tuple[Proposal, ...]
    explanation: str
    reevaluate_after_s: int | None = None
    considered: tuple[Rehearsed, ...] = ()
    steps: tuple[Step, ...] = field(default=())
