"""Tables complete: every entry file of a table folder has its line in the folder's literal tuple.

A folder is a table when its ``__init__.py`` (or one other file) lists its entries by hand. An entry counts as listed
when something imported from its file stands inside a module-level tuple: no decorators, no scans, nothing registered
by accident.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import Module, dotted, imports, modules


@dataclass(frozen=True)
class Table:
    """A folder of entries, one file or one sub-package each."""

    folder: str
    shared: frozenset[str] = frozenset()
    """Files that are the entries' common parts."""
    packages_only: bool = False
    """Entries are sub-packages; every file beside them is a common part."""
    file: str = "__init__.py"
    """Where the tuple stands."""
    row: str = ""
    """Class of the rows, where one file may hold several: each instance made at module level needs its line."""


TABLES = (
    Table("api/intake", shared=frozenset({"bodies", "dimensions", "otlp", "routes"}), file="routes.py"),
    Table("api/intake/otlp", shared=frozenset({"resource", "routes", "wire"}), file="routes.py"),
    Table("agents", packages_only=True),
    Table(
        "evals/datasets", shared=frozenset({"card", "lines", "nab_robustness", "nab_scoring", "scoring", "telemetry"})
    ),
    Table("evals/graders", shared=frozenset({"base"})),
    Table("governance/policies"),
    Table("mesh/sources"),
    Table("runtime/services"),
    Table("runtime/simulator/faults", shared=frozenset({"base", "room", "targets", "writes"}), row="Fault"),
    Table("runtime/workers"),
    Table("tools/actions"),
    Table("tools/readers"),
)


def unlisted(root: Path, tables: tuple[Table, ...] = TABLES) -> list[str]:
    """Entry files without a line in their table. Folders that do not exist yet have no entries."""
    return [
        f"{table.folder}/{table.file}: no line for {entry}"
        for table in tables
        for entry in sorted((entries(root, table) - _listed(root, table)) | (_rows(root, table) - _names(root, table)))
    ]


def entries(root: Path, table: Table) -> set[str]:
    """Names of the entry files and folders of a table that exist."""
    if not (root / table.folder).is_dir():
        return set()
    return {
        path.stem if path.is_file() else path.name
        for path in (root / table.folder).iterdir()
        if ((path.suffix in {".py", ".cedar"} and not table.packages_only) or (path / "__init__.py").is_file())
        and not path.stem.startswith("_")
        and path.stem not in table.shared
    }


def _rows(root: Path, table: Table) -> set[str]:
    """Names bound at module level to a row: by its class, or by a function of the same file that returns one."""
    if not table.row:
        return set()
    found: set[str] = set()
    for module in modules(root, [table.folder]):
        makers = {table.row} | {
            node.name
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef) and node.returns is not None and dotted(node.returns) == table.row
        }
        found |= {
            name
            for name, value in _bindings(module.tree)
            if isinstance(value, ast.Call) and dotted(value.func) in makers
        }
    return found


def _table_file(root: Path, table: Table) -> Module | None:
    return next((m for m in modules(root, [table.folder]) if m.path == Path(table.folder, table.file)), None)


def _names(root: Path, table: Table) -> set[str]:
    """Every name that stands in a module-level tuple of the folder's table file."""
    init = _table_file(root, table)
    if init is None:
        return set()
    return {node.id for value in _tuples(init.tree) for node in ast.walk(value) if isinstance(node, ast.Name)}


def _listed(root: Path, table: Table) -> set[str]:
    """Entries of which something stands in a tuple: a name imported from the entry, or the name of its file."""
    init = _table_file(root, table)
    if init is None:
        return set()
    origins = _origins(init, table.folder.replace("/", "."))
    files = {
        Path(text.value).stem
        for value in _tuples(init.tree)
        for text in ast.walk(value)
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and "." in text.value
    }
    return {origins[name] for name in _names(root, table) if name in origins} | files


def _origins(init: Module, package: str) -> dict[str, str]:
    """Local name -> the file of the folder it comes from."""
    origins: dict[str, str] = {}
    for node, name in imports(init):
        if not name.startswith(package + "."):
            continue
        entry = name.removeprefix(package + ".").partition(".")[0]
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else []:
            if name.endswith(alias.name):
                origins[alias.asname or alias.name] = entry
    return origins


def _tuples(tree: ast.Module) -> list[ast.Tuple]:
    return [value for _, value in _bindings(tree) if isinstance(value, ast.Tuple)]


def _bindings(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """Module-level ``name = value`` and ``name: type = value``."""
    found: list[tuple[str, ast.expr]] = []
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if targets and node.value is not None:
            found += [(target.id, node.value) for target in targets if isinstance(target, ast.Name)]
    return found
