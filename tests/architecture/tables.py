"""Tables complete: every entry file of a table folder has its line in the folder's literal tuple.

A folder is a table when its ``__init__.py`` lists its entries by hand. An entry counts as listed when something
imported from its file stands inside a module-level tuple: no decorators, no scans, nothing registered by accident.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import Module, imports, modules


@dataclass(frozen=True)
class Table:
    """A folder of entries, and the files in it that are the entries' shared parts."""

    folder: str
    shared: frozenset[str] = frozenset()


TABLES = (
    Table("agents"),
    Table("evals/datasets"),
    Table("governance/policies"),
    Table("mesh/sources"),
    Table("runtime/services"),
    Table("runtime/simulator/faults"),
    Table("runtime/workers"),
    Table("tools/actions"),
    Table("tools/readers"),
)


def unlisted(root: Path, tables: tuple[Table, ...] = TABLES) -> list[str]:
    """Entry files without a line in their table. Folders that do not exist yet have no entries."""
    return [
        f"{table.folder}/__init__.py: no line for {entry}"
        for table in tables
        for entry in sorted(entries(root, table) - _listed(root, table))
    ]


def entries(root: Path, table: Table) -> set[str]:
    """Names of the entry files and folders of a table that exist."""
    if not (root / table.folder).is_dir():
        return set()
    return {
        path.stem if path.is_file() else path.name
        for path in (root / table.folder).iterdir()
        if (path.suffix in {".py", ".cedar"} or (path / "__init__.py").is_file())
        and not path.stem.startswith("_")
        and path.stem not in table.shared
    }


def _listed(root: Path, table: Table) -> set[str]:
    init = next((m for m in modules(root, [table.folder]) if m.path == Path(table.folder, "__init__.py")), None)
    if init is None:
        return set()
    origins = _origins(init, table.folder.replace("/", "."))
    in_tuples = {
        name.id for value in _module_level_tuples(init.tree) for name in ast.walk(value) if isinstance(name, ast.Name)
    }
    texts = {
        str(text.value).partition(".")[0]
        for value in _module_level_tuples(init.tree)
        for text in ast.walk(value)
        if isinstance(text, ast.Constant) and str(text.value).endswith(".cedar")
    }
    return {origins[name] for name in in_tuples if name in origins} | texts


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


def _module_level_tuples(tree: ast.Module) -> list[ast.Tuple]:
    return [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Tuple)
    ]
