"""What ``import cli.main`` pulls in, measured in a fresh interpreter by Python's own import clock."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Each of these costs a quarter of a second or more to import, or leads to one that does.
HEAVY = frozenset(
    {"langgraph", "langchain_core", "chromadb", "openai", "pulumi", "fastapi", "sqlalchemy", "numpy", "cedarpy"}
)
# Typer, Rich and pydantic cost a third of a second on two shared cores; a loaded machine gets room on top.
BUDGET_MS = 1500


@dataclass(frozen=True)
class Imported:
    """Top-level packages that came in, and the whole time in milliseconds."""

    packages: frozenset[str]
    total_ms: float

    @property
    def heavy(self) -> list[str]:
        return sorted(self.packages & HEAVY)


def imported_by(statement: str, cwd: Path) -> Imported:
    """Run one import statement with ``-X importtime`` and read its report.

    Lines look like ``import time:   self |  cumulative | indented name``, in microseconds, children first.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-c", statement],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line][1:]
    packages = frozenset(row[2].strip().partition(".")[0] for row in rows)
    return Imported(packages, sum(int(row[0]) for row in rows) / 1000)
