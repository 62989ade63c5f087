"""Rollouts as they are kept: which tenants, in which order, what was written for each and what leads back.

Every function takes a rollout and returns the next one; nothing here measures or writes.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from analysis.canary import Verdict
from domain.base import Digest, Frozen, Slug, UtcDatetime
from domain.changes import Patch, PatchPath
from domain.desired import DesiredState, read_path
from domain.ids import TenantId
from domain.packs import RolloutAnswer, RolloutPart, RolloutPhase
from runtime.documents import Documents


class Written(Frozen):
    """One field that the rollout wrote, and what stood there before."""

    path: PatchPath
    value: JsonValue
    before: JsonValue = None


class Part(RolloutPart):
    """One tenant's part, with what only the rollout needs."""

    written_at: UtcDatetime | None = None
    version: int = 0
    """Of the document that holds it: the bake begins when the target has followed to it."""
    written: tuple[Written, ...] = ()
    looks: int = 0
    """Repeated looks share one false-alarm budget."""
    blind: int = 0
    """Looks in a row, once the time is up, without a clear answer."""


class Rollout(Frozen):
    """Where one rollout stands; survives restarts of whoever carries it out."""

    pack: Slug
    pack_version: Slug
    digest: Digest
    """Of the version that was approved: another content under the same number is held back."""
    bake_s: int
    phase: RolloutPhase = "running"
    detail: str = ""
    parts: tuple[Part, ...]
    """The canary's first."""


ROLLOUTS = Documents("pack_rollout", Rollout)


def due(rollout: Rollout) -> Part | None:
    """Return the part that is under way or comes next; None where nothing is left to do."""
    if rollout.phase != "running":
        return None
    return next((part for part in rollout.parts if part.phase in {"waiting", "baking"}), None)


def with_part(rollout: Rollout, part: Part) -> Rollout:
    """Return the rollout with one part as it is now; done when nothing is left to do.

    A canary that is held ends it: there would be nothing by which the others are judged.
    """
    parts = tuple(part if p.tenant == part.tenant else p for p in rollout.parts)
    after = rollout.model_copy(update={"parts": parts})
    if parts[0].phase == "held":
        return after.model_copy(update={"phase": "rolled_back", "detail": f"the canary is held: {parts[0].detail}"})
    if due(after) is None:
        told = [f"{p.tenant}: {p.detail}" for p in parts if p.phase == "held"]
        done = f"{sum(p.phase == 'upgraded' for p in parts)} tenants have {rollout.pack} {rollout.pack_version}"
        return after.model_copy(update={"phase": "done", "detail": "; held: ".join([done, *told])})
    return after


def looked(part: Part, verdict: Verdict, at: datetime, *, over: bool) -> Part:
    """Return the part after one look; `over` says that it baked for as long as planned."""
    unclear = over and verdict.action == "continue"
    part = part.model_copy(update={"looks": part.looks + 1, "blind": part.blind + 1 if unclear else 0})
    if over and verdict.action == "promote":
        detail = f"as well as before over {part.looks} looks"
        return part.model_copy(update={"phase": "upgraded", "since": at, "detail": detail})
    return part


def why_back(verdict: Verdict) -> str:
    """Tell why a look leads back; empty where it does not. What nobody can tell is no pass."""
    reasons = [*map(str, verdict.reasons), *(f"{name}: too little is measured" for name in verdict.missing)]
    match verdict.action:
        case "rollback":
            return "; ".join(reasons)
        case "inconclusive":
            return f"nobody can tell: {'; '.join(reasons) or 'no evidence'}"
        case _:
            return ""


def way_back(part: Part, desired: DesiredState) -> tuple[Patch, ...]:
    """Return what takes one tenant's upgrade back: every field that still holds what was written; others stay."""
    document: JsonValue = desired.base.model_dump(mode="json")
    ours = [w for w in part.written if read_path(document, w.path) == w.value]
    return tuple(Patch(op="set", path=w.path, value=w.before) for w in reversed(ours))


def taken_back(rollout: Rollout, at: datetime, detail: str) -> Rollout:
    """Return the rollout with every upgrade taken back and nothing more to come."""
    parts = tuple(
        part.model_copy(update={"phase": "rolled_back", "since": at}) if part.phase in {"baking", "upgraded"} else part
        for part in rollout.parts
    )
    return rollout.model_copy(update={"phase": "rolled_back", "detail": detail, "parts": parts})


def shown(operation: str, rollout: Rollout, tenants: Sequence[TenantId] | None = None) -> RolloutAnswer:
    """Return a rollout as it is told to some of its tenants, or to whoever may see all."""
    mine = [p for p in rollout.parts if tenants is None or p.tenant in tenants]
    # why a rollout went back may name another tenant's services
    detail = rollout.detail if tenants is None else "; ".join(p.detail for p in mine if p.detail)
    return RolloutAnswer(
        operation=operation, pack=rollout.pack, version=rollout.pack_version, bake_s=rollout.bake_s,
        phase=rollout.phase, detail=detail,
        parts=tuple(RolloutPart.model_validate(p.model_dump(include=set(RolloutPart.model_fields))) for p in mine),
    )  # fmt: skip
