"""The controls that governance hands over, and what was already judged by them."""

from analysis.compliance.judging import Memory
from domain.compliance import ControlSet
from domain.errors import Unavailable
from runtime.parts import RuntimeParts

JUDGED = Memory()
"""Verdicts by the digests of control and resource: the same for everybody, so one memory serves the process."""


def controls_of(parts: RuntimeParts) -> ControlSet:
    """Return the controls in force. Raises Unavailable where no policy set was handed over: nothing passes unjudged."""
    controls = parts.controls()
    if controls is None:
        raise Unavailable("no policy set with controls was handed to this runtime", reason="controls_missing")
    return controls
