import pytest

from tests.architecture.cli_imports import BUDGET_MS, imported_by
from tests.architecture.source import REPOSITORY


def test_the_command_line_imports_nothing_heavy():
    imported = imported_by("import cli.main", REPOSITORY)
    assert imported.heavy == []
    assert imported.total_ms < BUDGET_MS


@pytest.mark.parametrize("library", ["numpy", "sqlalchemy"])
def test_a_heavy_library_is_found(library):
    assert imported_by(f"import {library}", REPOSITORY).heavy == [library]
