"""Who imports whom: contracts between rooms, vendors per room, cycles and depth of the module graph."""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.rooms import OWNED_NAMES, ROOMS, VENDORS
from tests.architecture.source import Module, graph, imports, modules


def contracts(root: Path) -> tuple[bool, str]:
    """Run import-linter over the tree at root; whether the contracts of its pyproject.toml hold, and the report."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(lint), "--no-logo", "--no-cache"], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode == 0, done.stdout + done.stderr


def strangers(root: Path) -> list[str]:
    """Imports of a library by a room that does not adapt it."""
    return [
        f"{module.at(node)}: {module.room}/ may not import {top}"
        for module in modules(root, ROOMS)
        for node, name in imports(module)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and top not in ROOMS
        and module.room not in VENDORS.get(top, ())
    ]


def cycle(parsed: list[Module]) -> list[str]:
    """One import cycle as the list of its modules, or nothing."""
    try:
        TopologicalSorter(graph(parsed)).prepare()
    except CycleError as found:
        return [str(name) for name in found.args[1]]
    return []


def longest_chain(parsed: list[Module]) -> list[str]:
    """The longest path of imports, first importer first. The graph must be free of cycles."""
    edges = graph(parsed)
    best: dict[str, list[str]] = {}
    for name in TopologicalSorter(edges).static_order():
        below = max((best[target] for target in edges[name]), key=len, default=[])
        best[name] = [name, *below]
    return max(best.values(), key=len, default=[])


def foreign_owners() -> dict[str, list[str]]:
    """Our top-level names that some other installed distribution provides as well."""
    provided = packages_distributions()
    return {name: others for name in OWNED_NAMES if (others := sorted(set(provided.get(name, ())) - {"opsmesh"}))}
