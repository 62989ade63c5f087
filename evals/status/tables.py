"""Rows that are shown by what the product consists of: packages, rooms, contracts, agents."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import JsonValue

from agents import AGENTS
from domain.catalogue import EVENT_MODELS
from domain.envelope import document_of, event_of
from domain.events import IncomingEvent
from evals.service_cases import Case, Check, Measured
from grounding.platform_contract import from_platform, to_platform

ROOT = Path(__file__).parents[2]
PACKAGES = ("langgraph", "openai", "pydantic", "chromadb", "httpx", "pulumi", "opentelemetry", "tenacity")
PLACES = ("pyproject.toml", "agents", "tools", "grounding", "governance", "evals", "infra", "tests", "README.md")
PROGRAMS = frozenset({"evals", "cli", "tests"})
ROOMS = tuple(sorted(p.parent.name for p in ROOT.glob("*/__init__.py") if p.parent.name not in PROGRAMS))
"""The rooms that ship as the product's library; the others are its programs and their tests."""
CLOUDS = re.compile(r"azure|aws|gcp|google|microsoft|amazon", re.IGNORECASE)
CORE = {
    "specversion": "1.0", "id": "e1", "source": "/platform", "severity": "info", "tenantid": "acme",
    "environmentid": "prod",
    "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "added": "later",
}  # fmt: skip
Look = Callable[[], float]


def counted(name: str, check: str, bound: float, honest: Look, planted: Look, breaks: str) -> Case:
    """Return a case of one count, that must be exactly that."""

    def measured(look: Look) -> Measured:
        return Measured(checks=(Check(name=check, value=look(), bound=bound),), figures={})

    async def run(_seed: int, _home: Path) -> Measured:
        return measured(honest)

    async def damaged(_seed: int, _home: Path) -> Measured:
        return measured(planted)

    return Case(name, "status", check, run, damaged, breaks)


def _imported() -> set[str]:
    """Return the top-level names that the product's rooms import, also inside functions."""
    names: set[str] = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
    return names


def _packages(missing: str = "") -> float:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = {re.split(r"[^a-z-]", line)[0] for line in project["dependencies"]}
    used = _imported() - {missing}
    dependencies = sum(name in used and any(s == name or s.startswith(f"{name}-") for s in stated) for name in PACKAGES)
    return dependencies + ("pytest" in stated)


def _places(places: Iterable[str]) -> float:
    return sum((ROOT / place).exists() for place in places)


def _foreign(planted: Iterable[str] = ()) -> float:
    """Count the files of another language in the rooms."""
    files = [f.name for room in ROOMS for f in (ROOT / room).rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    return sum(name.endswith((".js", ".ts", ".go", ".rs", ".java", ".c", ".cs")) for name in (*files, *planted))


def _agents(*wanted: str, also: Iterable[str] = ()) -> float:
    names = {spec.name for spec in AGENTS} | set(also)
    return sum(name in names for name in wanted)


def agent(*names: str) -> Case:
    """Return the case that those agents exist."""
    return counted(
        f"agents-{names[0]}", "agents of that name", len(names), lambda: _agents(*names),
        lambda: _agents(*names, also=names),
        "agents of that name are put into the table",
    )  # fmt: skip


def module(name: str, check: str) -> Case:
    """Return the case that a package exists and can be imported."""
    return counted(
        f"module-{name}", check, 1, lambda: find_spec(name) is not None,
        lambda: 1, "it is said to be there",
    )  # fmt: skip


Carry = Callable[[dict[str, JsonValue]], dict[str, JsonValue]]


def _lost(carry: Carry = to_platform) -> float:
    """Count the event types that come back from the platform's envelope as something else."""
    lost = 0
    for name in (*EVENT_MODELS, "runtime.something.new.v1"):
        document: dict[str, JsonValue] = {**CORE, "type": name}
        event = event_of(document)
        back = from_platform(carry(document_of(event))) if isinstance(event, IncomingEvent) else None
        lost += back is None or back != event
    return lost


def _forgetful(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return to_platform({key: value for key, value in document.items() if key != "added"})


def named_after_a_cloud() -> float:
    """Count fields and classes of the vocabulary that carry a provider's name."""
    names: list[str] = []
    for file in (ROOT / "domain").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names.append(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.append(node.target.id)
    return sum(CLOUDS.search(name) is not None for name in names)


def _pulumi_engines(planted: Mapping[str, str] | None = None) -> float:
    """Count the modules outside `infra` that run Pulumi programs."""
    files = {f"{f}": f.read_text(encoding="utf-8") for room in ("tools", "mesh") for f in (ROOT / room).rglob("*.py")}
    return sum("pulumi.automation" in text for text in {**files, **(planted or {})}.values()) > 0


PULUMI = counted(
    "pulumi-engine", "an engine runs the Pulumi programs", 1, _pulumi_engines,
    lambda: _pulumi_engines({"tools/pulumi_engine.py": "import pulumi.automation"}), "a module that runs them is added",
)  # fmt: skip
PACKAGED = counted(
    "packages", "packages of the card that the product uses", len(PACKAGES) + 1, _packages,
    lambda: _packages("chromadb"),
    "nothing imports chromadb",
)  # fmt: skip
PLACED = counted(
    "places", "names of the card at the top level", len(PLACES), lambda: _places(PLACES),
    lambda: _places([*PLACES[:-1], "README.txt"]), "the README has another name",
)  # fmt: skip
PYTHON = counted(
    "language", "files of another language", 0, _foreign, lambda: _foreign(["agent.ts"]), "one file in TypeScript"
)
ENVELOPE = counted(
    "envelope", "event types that the platform's envelope changes", 0, _lost, lambda: _lost(_forgetful),
    "a field added later is dropped on the way",
)  # fmt: skip
