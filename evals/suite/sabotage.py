"""Deliberate damage: each row must move the figures, or the figures prove nothing.

Two must make them fall; a twin that is fed the truth must make its own error vanish, which no honest twin can.
"""

from collections.abc import Mapping
from dataclasses import fields, replace

from agents.spec import AgentSpec
from domain.commands import CommandRecord
from domain.errors import NotFound
from domain.evidence import Diagnosis, EvidencePack
from domain.incidents import Incident
from domain.outcomes import Verification
from evals.episodes.director import Director
from evals.episodes.played import Tamper, untouched
from evals.suite.truthful_twin import TruthfulTwin
from mesh.loop import Loop
from mesh.simulation import SimulatedMesh
from mesh.watching import Watching


def broken_diagnosis(simulated: SimulatedMesh, _director: Director) -> SimulatedMesh:
    """Drop the best hypothesis and the first of the ranking: the runner-up is blamed."""
    investigation = simulated.mesh.loop.investigation
    agents = tuple(_misled(spec) for spec in investigation.agents)
    return _with(simulated, replace(simulated.mesh.loop, investigation=replace(investigation, agents=agents)))


def _misled(spec: AgentSpec) -> AgentSpec:
    honest = spec.diagnose

    def diagnose(pack: EvidencePack) -> Diagnosis:
        found = honest(pack)
        if len(found.hypotheses) < 2:
            return found
        return found.model_copy(update={"hypotheses": found.hypotheses[1:], "ranked": found.ranked[1:]})

    return replace(spec, diagnose=diagnose)


class Credulous(Watching):
    """A verification that looks and then believes anyway."""

    async def verdict(self, record: CommandRecord, incident: Incident | None) -> Verification | None:
        """Return `recovered` wherever there is a verdict."""
        found = await super().verdict(record, incident)
        return None if found is None else found.model_copy(update={"verdict": "recovered"})


def skipped_verification(simulated: SimulatedMesh, _director: Director) -> SimulatedMesh:
    """Call every executed command a success once its hold window is over."""
    watching = simulated.mesh.loop.watching
    parts = {field.name: getattr(watching, field.name) for field in fields(watching)}
    return _with(simulated, replace(simulated.mesh.loop, watching=Credulous(**parts)))


def truthful_twin(simulated: SimulatedMesh, director: Director) -> SimulatedMesh:
    """Rehearse in a copy of the very world, fault and all."""
    investigation = replace(simulated.mesh.loop.investigation, rehearsal=TruthfulTwin(director.world))
    return _with(simulated, replace(simulated.mesh.loop, investigation=investigation))


def _with(simulated: SimulatedMesh, loop: Loop) -> SimulatedMesh:
    simulation = replace(simulated.simulation, step=loop.step)
    return replace(simulated, mesh=replace(simulated.mesh, loop=loop), simulation=simulation)


SABOTAGES: Mapping[str, Tamper] = {
    "": untouched,
    "broken_diagnosis": broken_diagnosis,
    "skipped_verification": skipped_verification,
    "truthful_twin": truthful_twin,
}


def tamper(name: str) -> Tamper:
    """Return a row of the table; no name means no damage. Raises NotFound for another."""
    if name not in SABOTAGES:
        raise NotFound(f"no sabotage {name!r}; there are {', '.join(n for n in SABOTAGES if n)}")
    return SABOTAGES[name]
