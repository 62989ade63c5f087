"""Reading a source tree without importing it.

Every check of this folder is a function over a root path, so that a test can plant a fault in a temporary tree and see
the check fail. This module parses such a tree once and resolves who imports whom.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One parsed file: its path below the root and its dotted name."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def modules(root: Path, folders: Iterable[str]) -> list[Module]:
    """All Python files below the folders that exist, in path order."""
    return [_parse(root, path) for folder in folders for path in sorted((root / folder).rglob("*.py"))]


def _parse(root: Path, path: Path) -> Module:
    relative = path.relative_to(root)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(relative, name, text, _tree(text))


@cache
def _tree(text: str) -> ast.Module:
    """Parse a file once for all checks; by its text, because planted files change under the same name."""
    return ast.parse(text)


def imports(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement, lazy ones too, as an absolute dotted name (with the imported name appended)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    climb = node.level - (1 if module.path.name == "__init__.py" else 0)
    kept = package[: len(package) - climb] if climb else package
    return ".".join([*kept, node.module] if node.module else kept)


def graph(parsed: list[Module]) -> dict[str, set[str]]:
    """Module name -> names of the modules in the tree that it imports."""
    known = {module.name for module in parsed}
    return {
        module.name: {target for _, name in imports(module) if (target := _longest_known(name, known)) is not None}
        - {module.name}
        for module in parsed
    }


def _longest_known(name: str, known: set[str]) -> str | None:
    while name:
        if name in known:
            return name
        name = name.rpartition(".")[0]
    return None


def dotted(node: ast.AST) -> str:
    """The text of a name or an attribute chain (``datetime.datetime.now``), or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""
