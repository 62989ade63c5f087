"""The governed path for every test of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.engine import Database
from tests.support.governed import GovernedPath, open_path


@pytest.fixture
def path(database: Database, tmp_path: Path) -> Iterator[GovernedPath]:
    """The governed path on a fresh store, with two approvers and an operator."""
    yield from open_path(database, tmp_path)
