"""What is kept of one episode: enough to grade, to compare, to plot and to read, without the world it happened in."""

from pydantic import Field

from domain.base import Frozen
from domain.outcomes import PredictionError
from evals.episodes.measures import Measures
from evals.scenarios.model import Domain, Good


class CauseSeen(Frozen):
    """One true cause, as the fault's row told the director."""

    fault: str
    fault_class: str
    entity: str
    also: tuple[str, ...] = ()
    """Other addresses that name the same thing rightly."""
    minute: float

    def named_by(self, entity: str, fault_class: str) -> bool:
        """Tell whether an answer names this cause exactly."""
        return entity in {self.entity, *self.also} and fault_class == self.fault_class


class CommandSeen(Frozen):
    """One command of the episode; minutes count from opening."""

    id: str
    kind: str
    target: str
    tenant: str
    proposer: str
    role: str
    state: str
    reason: str
    attempt: int
    confidence: float
    predicted: bool
    """The twin gave figures; False where it said unknown or none was asked for."""
    approvals: int
    resources: int
    """How many resources the affected set names: the blast radius."""
    proposed: float
    executed: float | None = None
    verified: float | None = None
    """When the verdict was recorded."""
    verdict: str | None = None
    errors: tuple[PredictionError, ...] = ()


class AnswerSeen(Frozen):
    """What one agent run answered."""

    minute: float
    incident: str
    verdict: str
    hypotheses: tuple[tuple[str, str, float], ...]
    """(entity, fault class, confidence), best first."""
    ranked: tuple[str, ...]
    proposed: bool
    tokens: int = 0


class Grade(Frozen):
    """One grader's value and its reason; None where the question does not arise."""

    value: float | None
    reason: str


class EpisodeRecord(Frozen):
    """One scenario under one seed, lived through by the product and by the baselines."""

    scenario: str
    seed: int
    domain: Domain
    good: Good
    played: bool
    """False where no agent answers for the domain yet: then only baselines are here."""
    causes: tuple[CauseSeen, ...]
    minutes: float
    since_minute: float
    """When judging began: the first fault."""
    ours: Measures | None = None
    baselines: dict[str, Measures] = Field(default_factory=dict[str, Measures])
    commands: tuple[CommandSeen, ...] = ()
    answers: tuple[AnswerSeen, ...] = ()
    incidents: int = 0
    events: int = 0
    pages: int = 0
    grades: dict[str, Grade] = Field(default_factory=dict[str, Grade])
    broke: str = ""
    """The error that ended the episode early; an episode that broke is not a good one."""
    cpu_s: float = 0.0

    @property
    def quiet(self) -> bool:
        """Nothing was there to fix."""
        return self.good == "silence"
