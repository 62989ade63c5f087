"""Verbs that print figures of the closed loop."""

from pydantic import JsonValue
from rich.table import Table

from cli import render
from cli.progress import ProgressBar


def closed_loop(seed: int, seeds: int, *, controls: bool, as_json: bool) -> int:
    """Play every fault over the seeds and quiet worlds beside them; exit 1 when one did not end as its row says."""
    from evals.closed_loop import CONTROLS, fault_endings, play_all
    from evals.quiet import play_quiet

    names = list(fault_endings())
    chosen = CONTROLS if controls else CONTROLS[:1]
    total = len(names) * seeds * len(chosen)
    with ProgressBar(total, quiet=as_json, title="closed loop") as bar:
        episodes = play_all(names, list(range(seed, seed + seeds)), controls=chosen, told=bar)
    quiet = play_quiet(list(range(seed, seed + seeds)), hours=2)
    good = sum(e.as_expected for e in episodes)
    if as_json:
        rows: list[JsonValue] = [e.model_dump(mode="json") for e in episodes]
        render.as_json({"episodes": rows, "as_expected": good, "of": len(episodes), "quiet_proposals": quiet.proposals})
    else:
        table = Table(
            title=f"closed loop: {good} of {len(episodes)} as expected; quiet worlds: {quiet.proposals} proposals"
        )
        for heading in ("fault", "seed", "control", "ended", "expected", "cause", "SLO min lost", ""):
            table.add_column(heading)
        for e in episodes:
            cause = (
                ""
                if e.entity_right is None
                else f"{'right' if e.entity_right else 'WRONG'} entity, {'right' if e.class_right else 'WRONG'} class"
            )
            table.add_row(
                e.fault,
                str(e.seed),
                e.control,
                e.ending,
                e.expected,
                cause,
                f"{e.slo_minutes_lost:.0f}",
                "ok" if e.as_expected else "NOT",
            )
        render.console.print(table)
    return 0 if good == len(episodes) and quiet.proposals == 0 else 1
