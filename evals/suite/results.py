"""Results as JSON lines: a header that says what was run by which code, then one episode a line, in any order.

A run that was cut off is taken up again from its file; a file of other code or scenarios is refused, never mixed.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from domain.base import Digest, Frozen, digest_of
from domain.errors import Invalid
from evals.episodes.record import EpisodeRecord
from evals.scenarios import Scenario

ROOT = Path(__file__).resolve().parents[2]
NOT_PLAYED = frozenset({"cli", "infra", "tests"})
ROOMS = tuple(sorted(p.parent.name for p in ROOT.glob("*/__init__.py") if p.parent.name not in NOT_PLAYED))
"""Whatever can change a figure."""
SOURCE = {".py", ".cedar", ".cedarschema", ".yaml", ".sql"}


class Header(Frozen):
    """What a results file is of."""

    suite: str
    seeds: tuple[int, ...]
    sabotage: str = ""
    scenarios: Digest
    code: Digest


class Results(Frozen):
    """A header and the episodes that are there."""

    header: Header
    episodes: tuple[EpisodeRecord, ...]

    @property
    def wall_independent(self) -> tuple[EpisodeRecord, ...]:
        """Return the episodes without what differs from run to run: the time they took."""
        return tuple(e.model_copy(update={"cpu_s": 0.0}) for e in self.episodes)


def header_of(suite: str, scenarios: Sequence[Scenario], seeds: Sequence[int], sabotage: str) -> Header:
    """Return the header of a run that starts now."""
    told = digest_of([one.model_dump(mode="json") for one in scenarios])
    return Header(suite=suite, seeds=tuple(seeds), sabotage=sabotage, scenarios=told, code=code_digest())


def code_digest() -> Digest:
    """Return a digest over the source, policies and rows of every room that can change a figure."""
    hashed = hashlib.sha256()
    for room in ROOMS:
        for path in sorted(p for p in (ROOT / room).rglob("*") if p.suffix in SOURCE):
            hashed.update(path.relative_to(ROOT).as_posix().encode())
            hashed.update(path.read_bytes())
    return f"sha256:{hashed.hexdigest()}"


def read_results(path: Path) -> Results:
    """Read a results file. Raises Invalid naming the line that is none; a torn last line is left out."""
    if not path.is_file():
        raise Invalid(f"no results at {path}; run opsmesh evals run --out {path}", reason="no_results")
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines:
        raise Invalid(f"{path} is empty", reason="no_results")
    episodes: list[EpisodeRecord] = []
    try:
        header = Header.model_validate_json(lines[0])
        for number, line in enumerate(lines[1:], start=2):
            try:
                episodes.append(EpisodeRecord.model_validate_json(line))
            except ValidationError:
                if number != len(lines):
                    raise
    except ValidationError as error:
        raise Invalid(f"{path} holds no results: {error.errors()[0]['msg']}", reason="results_invalid") from error
    return Results(header=header, episodes=tuple(episodes))


def open_results(path: Path, header: Header, *, fresh: bool) -> tuple[EpisodeRecord, ...]:
    """Start a results file, or return what an earlier run of the same left in it. Raises Invalid for any other file."""
    if path.is_file() and not fresh:
        held = read_results(path)
        if held.header != header:
            raise Invalid(
                f"{path} holds results of other code, scenarios or seeds; give --fresh to start over, or another --out",
                reason="results_differ",
            )
        write_results(path, held)
        return held.episodes
    write_results(path, Results(header=header, episodes=()))
    return ()


def write_results(path: Path, results: Results) -> None:
    """Write a results file whole: a reader, or a run that is cut off now, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [results.header.model_dump_json(), *(line_of(e) for e in results.episodes)]
    beside = path.with_name(f"{path.name}.new")
    beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    beside.replace(path)


def line_of(episode: EpisodeRecord) -> str:
    """Return an episode as one line."""
    return json.dumps(episode.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)
