"""Docs that stay true: links lead somewhere, and the verbs, files and tests they name exist."""

import re
from pathlib import Path

from tests.architecture.source import modules

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
VERB = re.compile(r"\bmake ((?:[a-z]+ ?)+)`")
CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
CODE = re.compile(r"`((?:[a-z_]+/)+[\w.]+\.(?:py|toml|cedar|md|yaml))`")


def documents(root: Path) -> list[Path]:
    """Markdown files of the repository itself."""
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def dead_references(root: Path) -> list[str]:
    """Links, verbs, files and tests that a document names and that do not exist."""
    verbs = _verbs(root)
    tests = _tests(root)
    found: list[str] = []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root)
        found += [f"{name}: link {link}" for link in LINK.findall(text) if not (path.parent / link).exists()]
        found += [f"{name}: make {verb}" for run in VERB.findall(text) for verb in run.split() if verb not in verbs]
        found += [f"{name}: {file}" for file in CODE.findall(text) if not (root / file).exists()]
        found += [
            f"{name}: {file}::{test}" for file, test in CITED.findall(text) if test and test not in tests.get(file, "")
        ]
    return found


def _verbs(root: Path) -> set[str]:
    makefile = root / "Makefile"
    return (
        set(re.findall(r"^([a-z]+):", makefile.read_text(encoding="utf-8"), re.MULTILINE))
        if makefile.exists()
        else set()
    )


def _tests(root: Path) -> dict[str, set[str]]:
    return {
        module.path.as_posix(): set(re.findall(r"def (test_\w+)", module.text)) for module in modules(root, ["tests"])
    }
