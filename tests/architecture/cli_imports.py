"""What ``import cli.main`` pulls in, and the processor time it takes, each in a fresh interpreter."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Each of these costs a quarter of a second or more to import, or leads to one that does.
HEAVY = frozenset(
    {"langgraph", "langchain_core", "chromadb", "openai", "pulumi", "fastapi", "sqlalchemy", "numpy", "cedarpy"}
)
# Typer, Rich and pydantic cost 0.6 s of processor time on a slow shared core; the rest is room for our own modules.
BUDGET_MS = 1500
# Processor time does not count waiting for others, but caches are shared: the best of a few is the machine's own.
ROUNDS = 3


@dataclass(frozen=True)
class Imported:
    """Top-level packages that came in, and the whole processor time in milliseconds."""

    packages: frozenset[str]
    total_ms: float

    @property
    def heavy(self) -> list[str]:
        return sorted(self.packages & HEAVY)


def imported_by(statement: str, cwd: Path) -> Imported:
    """Run one import statement with ``-X importtime`` and read its report.

    Lines look like ``import time:   self |  cumulative | indented name``, in microseconds, children first.
    """
    report = _python(cwd, "-X", "importtime", "-c", statement).stderr
    rows = [line.removeprefix("import time:").split("|") for line in report.splitlines() if "|" in line][1:]
    packages = frozenset(row[2].strip().partition(".")[0] for row in rows)
    timed = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
    return Imported(packages, 1000 * min(float(_python(cwd, "-c", timed).stdout) for _ in range(ROUNDS)))


def _python(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", *arguments], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
