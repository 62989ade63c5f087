"""Measures the hot paths: ``python -P -m evals.bench [--json]``. Each row of the table returns its figures."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

from evals.bench_figures import Figure
from evals.bench_ingest import ingest_rate
from evals.bench_policy import decision_time
from evals.bench_simulator import simulator_speed

BENCHES: tuple[Callable[[], list[Figure]], ...] = (ingest_rate, decision_time, simulator_speed)


def main(arguments: list[str]) -> int:
    """Print every figure, as JSON lines with --json."""
    for bench in BENCHES:
        for figure in bench():
            print(json.dumps(asdict(figure)) if "--json" in arguments else figure, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
