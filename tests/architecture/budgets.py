"""Shape of the code in figures, with the limits that fail a build.

Good and bad code bases hardly differ in their median; they differ in the tails, in cycles and in swallowed errors. So
these are what is counted. ``python -P -m tests.architecture.budgets`` prints the figures and exits 1 over a limit.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.cli_imports import BUDGET_MS, imported_by
from tests.architecture.layers import cycle, longest_chain
from tests.architecture.rooms import ROOMS
from tests.architecture.source import REPOSITORY, Module, dotted, modules

MODULE_LINES, MODULE_LINES_P90 = 400, 300
FUNCTION_LINES, FUNCTION_LINES_P90 = 60, 25
ANY_PER_THOUSAND_LINES = 5.0
MOCKS_PER_HUNDRED_TESTS = 10.0

BROAD = frozenset({"", "Exception", "BaseException"})
SKIPS = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)")
MOCKS = frozenset({"Mock", "MagicMock", "AsyncMock", "patch", "create_autospec", "mocker.patch"})


@dataclass(frozen=True)
class Figure:
    """One measured number, what may be at most, and the places that exceed it."""

    name: str
    value: float
    limit: float | None
    offenders: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return not self.offenders and (self.limit is None or self.value <= self.limit)

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"  (at most {self.limit:g})"
        flag = "" if self.kept else "  OVER"
        return "\n".join([f"{self.name:<38}{self.value:>9.4g}{limit}{flag}", *(f"    {o}" for o in self.offenders)])


def measure(root: Path) -> list[Figure]:
    """All figures of the tree at root."""
    rooms, tests = modules(root, ROOMS), modules(root, ["tests"])
    return [*_lengths(rooms), *_types(rooms), *_errors(rooms), _mocks(tests), _skips(tests), *_depth(rooms)]


def _lengths(rooms: list[Module]) -> list[Figure]:
    functions = [(module, node) for module in rooms for node in _functions(module.tree)]
    long_modules = tuple(f"{m.path}: {m.lines} lines" for m in rooms if m.lines > MODULE_LINES)
    long_functions = tuple(
        f"{m.at(node)}: {node.name} has {_length(node)} lines"
        for m, node in functions
        if _length(node) > FUNCTION_LINES
    )
    module_lines = [m.lines for m in rooms]
    function_lines = [_length(node) for _, node in functions]
    return [
        Figure("modules", len(rooms), None),
        Figure("lines", sum(module_lines), None),
        Figure("longest module, lines", max(module_lines, default=0), MODULE_LINES, long_modules),
        Figure("module p90, lines", _p90(module_lines), MODULE_LINES_P90),
        Figure("longest function, lines", max(function_lines, default=0), FUNCTION_LINES, long_functions),
        Figure("function p90, lines", _p90(function_lines), FUNCTION_LINES_P90),
    ]


def _types(rooms: list[Module]) -> list[Figure]:
    found = [
        (module, node) for module in rooms for node in ast.walk(module.tree) if dotted(node) in {"Any", "typing.Any"}
    ]
    in_domain = tuple(module.at(node) for module, node in found if module.room == "domain")
    lines = sum(module.lines for module in rooms)
    return [
        Figure("Any in domain", len(in_domain), 0, in_domain),
        Figure("Any per thousand lines", 1000 * len(found) / max(lines, 1), ANY_PER_THOUSAND_LINES),
    ]


def _errors(rooms: list[Module]) -> list[Figure]:
    broad = [
        (m, node) for m in rooms for node in ast.walk(m.tree) if isinstance(node, ast.ExceptHandler) and _broad(node)
    ]
    silent = tuple(m.at(node) for m, node in broad if _silent(node))
    return [Figure("broad excepts", len(broad), None), Figure("silent broad excepts", len(silent), 0, silent)]


def _mocks(tests: list[Module]) -> Figure:
    calls = [dotted(node.func) for m in tests for node in ast.walk(m.tree) if isinstance(node, ast.Call)]
    mocks = sum(name in MOCKS or name.rpartition(".")[2] in MOCKS - {"patch"} for name in calls)
    count = sum(node.name.startswith("test_") for m in tests for node in _functions(m.tree))
    return Figure("mocks per hundred tests", 100 * mocks / max(count, 1), MOCKS_PER_HUNDRED_TESTS)


def _skips(tests: list[Module]) -> Figure:
    places = {
        m.at(node)
        for m in tests
        for node in ast.walk(m.tree)
        if isinstance(node, ast.Attribute) and SKIPS.fullmatch(dotted(node))
    }
    return Figure("skips and expected failures", len(places), 0, tuple(sorted(places)))


def _depth(rooms: list[Module]) -> list[Figure]:
    if found := cycle(rooms):
        return [Figure("modules in an import cycle", len(set(found)), 0, (" -> ".join(found),))]
    return [Figure("longest chain of imports, modules", len(longest_chain(rooms)), None)]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _broad(node: ast.ExceptHandler) -> bool:
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any((dotted(kind) if kind else "") in BROAD for kind in kinds)


def _silent(node: ast.ExceptHandler) -> bool:
    """Nothing raised, called or kept: the error is gone."""
    return not any(isinstance(inner, ast.Raise | ast.Call) for body in node.body for inner in ast.walk(body))


def _p90(values: list[int]) -> float:
    """Nearest-rank 90th percentile."""
    return sorted(values)[max(0, -(-9 * len(values) // 10) - 1)] if values else 0


def main() -> int:
    """Print every figure; 1 when a limit is exceeded."""
    cli = imported_by("import cli.main", REPOSITORY)
    figures = [
        *measure(REPOSITORY),
        Figure("import of the command line, ms", cli.total_ms, BUDGET_MS, tuple(cli.heavy)),
    ]
    sys.stdout.write("".join(f"{figure}\n" for figure in figures))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
