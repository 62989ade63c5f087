"""How good the cost worker is: `python -P -m evals.cost_anomalies --seeds 10` prints recall, minutes and false alarms.

Every fault that wastes money on random worlds under foreign laws, and a healthy day of each with a bill restated.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evals.services.cost_injections import CAUSES, WITHIN_MIN, Injection, Quiet, injected, quiet


async def _all(seeds: Sequence[int], home: Path) -> tuple[list[Injection], list[Quiet]]:
    found: list[Injection] = []
    days: list[Quiet] = []
    for seed in seeds:
        for fault in CAUSES:
            one = await injected(fault, seed, home / f"{fault}-{seed}")
            if one is not None:
                found.append(one)
                _say(f"  {one.model_dump_json()}")
        days.append(await quiet(seed, home / f"quiet-{seed}"))
        _say(f"  {days[-1].model_dump_json()}")
    return found, days


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run and print."""
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--seeds", type=int, default=10)
    read.add_argument("--first", type=int, default=0)
    asked = read.parse_args()
    with tempfile.TemporaryDirectory(prefix="opsmesh-") as folder:
        found, days = asyncio.run(_all(range(asked.first, asked.first + asked.seeds), Path(folder)))
    for fault in CAUSES:
        ours = [one for one in found if one.fault == fault]
        _say(_line(fault, ours))
    _say(_line("all", found))
    false, rule = sum(d.false_findings for d in days), sum(d.rule_false for d in days)
    others = sum(one.others for one in found)
    _say(f"healthy days {len(days)}: false findings {false} (rule on yesterday: {rule} alarms); beside faults {others}")


def _line(name: str, ours: Sequence[Injection]) -> str:
    in_time = sum(one.minutes is not None and one.minutes <= WITHIN_MIN for one in ours)
    cause, act = sum(one.right_cause for one in ours), sum(one.right_act for one in ours)
    rule = sum(one.rule_minutes is not None and one.rule_minutes <= WITHIN_MIN for one in ours)
    late = sum(one.rule_minutes is not None for one in ours)
    return (
        f"{name}: {len(ours)} injected, {in_time} found within {WITHIN_MIN} min, right cause {cause}, right act {act}; "
        f"rule on yesterday {rule} within {WITHIN_MIN} min, {late} within half an hour"
    )


if __name__ == "__main__":
    main()
