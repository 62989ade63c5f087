"""What library code may not do, found in the syntax tree.

Time, randomness and ids come through ports, the environment through one settings module, and the twin sees readings
only: each of these, broken once, makes runs that cannot be repeated or predictions that peek at the answer. Data-set
names stay out of the product, so that nothing in it can know which set it is scored on.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rooms import PRODUCT, ROOMS
from tests.architecture.source import Module, dotted, graph, imports, modules

SETTINGS = "mesh/settings.py"
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"})

HIDDEN_INPUTS = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "time.sleep",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid4",
        "os.urandom",
        "ULID",
        "ulid.ULID",
    }
)
HIDDEN_MODULES = frozenset({"random", "secrets"})

# Generators are fine with a seed; without one they draw it from the machine.
GENERATORS = frozenset({"Random", "random.Random", "default_rng", "random.default_rng"})

# (file, what it uses, why): the adapters behind the ports, and measurements that no decision reads.
ALLOWED_INPUTS = (
    ("mesh/internal.py", "secrets", "bearer tokens that live as long as the process"),
    ("mesh/time.py", "datetime.now", "the system's clock behind the Clock port"),
    ("mesh/time.py", "secrets", "the random half of a ULID behind the Ids port"),
)

DATASET_NAMES = re.compile(r"(?i:pet_?shop|nezha|planet_?lab|log_?hub|pod_?security_?set)|\bNAB\b|\bM4\b")

TWIN = re.compile(r"runtime/simulator/twin[^/]*(\.py|/.*\.py)$")
WORLD_MODULES = re.compile(r"^runtime\.simulator\.(world|faults)(\.|$)")
WORLD_NAMES = frozenset({"World", "SimulatedWorld", "Fault"})


def environment_readers(root: Path) -> list[str]:
    """Reads of the process environment outside the settings module."""
    found: list[str] = []
    for module in modules(root, ROOMS):
        if module.path.as_posix() == SETTINGS:
            continue
        found += [f"{module.at(node)}: {name}" for node, name in _uses(module) if name in ENVIRONMENT]
    return found


def hidden_inputs(root: Path) -> list[str]:
    """Clocks, random numbers and ids taken from the machine instead of a port."""
    allowed = {(path, name) for path, name, _ in ALLOWED_INPUTS}
    return [
        f"{module.at(node)}: {name}"
        for module in modules(root, PRODUCT)
        for node, name in _hidden(module)
        if (module.path.as_posix(), name) not in allowed
    ]


def dataset_names(root: Path) -> list[str]:
    """Names of evaluation data sets inside the product."""
    return [
        f"{module.path}:{number}: {match.group()}"
        for module in modules(root, PRODUCT)
        for number, line in enumerate(module.text.splitlines(), start=1)
        if (match := DATASET_NAMES.search(line))
    ]


def twin_peeks(root: Path) -> list[str]:
    """Ways in which the twin could see the world it predicts: by import, direct or through others, or by argument."""
    parsed = modules(root, ["runtime"])
    edges = graph(parsed)
    found: list[str] = []
    for module in parsed:
        if not TWIN.search(module.path.as_posix()):
            continue
        reached = _reachable(edges, module.name)
        found += [f"{module.path}: imports {name}" for name in sorted(reached) if WORLD_MODULES.match(name)]
        found += [f"{module.at(node)}: takes {name}" for node, name in _world_arguments(module)]
    return found


def _uses(module: Module) -> Iterator[tuple[ast.AST, str]]:
    yield from ((node, name) for node, name in imports(module))
    yield from ((node, dotted(node)) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute))


def _hidden(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node, name in imports(module):
        if (top := name.partition(".")[0]) in HIDDEN_MODULES and name != "random.Random":
            yield node, top
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call | ast.keyword):
            name = _last_two(dotted(node.func if isinstance(node, ast.Call) else node.value))
            if name in HIDDEN_INPUTS or (name in GENERATORS and _unseeded(node)):
                yield node, name


def _last_two(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _unseeded(node: ast.AST) -> bool:
    """A call without arguments, or the bare class handed over as a factory."""
    return not (isinstance(node, ast.Call) and (node.args or node.keywords))


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    open_names = [start]
    while open_names:
        for target in edges.get(open_names.pop(), set()) - seen:
            seen.add(target)
            open_names.append(target)
    return seen


def _world_arguments(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.arg):
            hint = ast.unparse(node.annotation) if node.annotation else ""
            if node.arg == "world" or WORLD_NAMES & set(re.findall(r"\w+", hint)):
                yield node, f"{node.arg}: {hint}" if hint else node.arg
