"""Five agents on one skeleton: evidence in, proposals out. An agent cannot act.

Law: a run is a pure function of its evidence pack and its ports; nothing here reads a store, a clock or the world.
A new agent is one package and one line in this table.
"""

from agents.skeleton import run
from agents.spec import AgentRun, AgentSpec
from agents.sre import SPEC as SRE_AGENT

AGENTS: tuple[AgentSpec, ...] = (SRE_AGENT,)

__all__ = ["AGENTS", "AgentRun", "AgentSpec", "run"]
