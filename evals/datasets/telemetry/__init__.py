"""Recorded telemetry as cases with symptoms: who is to blame? Scored by the agent's diagnosis, or replayed."""
