"""Releases: what people want of one that is under way or has finished. The runtime's control loop carries it out."""

from datetime import datetime
from typing import ClassVar

from domain.arguments import ReleaseStep
from domain.changes import Patch
from tools.desired_action import DesiredAction


class _Intend(DesiredAction[ReleaseStep]):
    arguments = ReleaseStep
    intent: ClassVar[str]

    def patches(self, wanted: ReleaseStep, at: datetime) -> tuple[Patch, ...]:
        """Write what is wanted."""
        path = ("services", wanted.service, "traffic", "release", "intent")
        return (Patch(op="set", path=path, value=self.intent),)


class PromoteRelease(_Intend):
    """Let the candidate serve all now; its undo is the way back."""

    intent = "promote"


class PauseRelease(_Intend):
    """Leave the split as it is until somebody says otherwise."""

    intent = "pause"


class ResumeRelease(_Intend):
    """Go on with the steps; after an abort, begin again."""

    intent = "run"


class AbortRelease(_Intend):
    """Let the former version serve all, also after the release has finished."""

    intent = "abort"
