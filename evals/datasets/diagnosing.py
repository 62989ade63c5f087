"""The diagnosis under test is the SRE agent's own, from the same evidence pack: no copy, no shortcut."""

from agents.sre.diagnose import diagnose

agent_diagnosis = diagnose
"""What `run` scores unless another diagnoser is injected."""
