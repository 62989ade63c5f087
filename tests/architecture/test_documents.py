import pytest

from tests.architecture.documents import dead_references
from tests.architecture.planting import plant
from tests.architecture.source import REPOSITORY


def test_documents_name_only_what_exists():
    assert dead_references(REPOSITORY) == []


@pytest.mark.parametrize(
    "text",
    ["[gone](gone.md)", "run `make coffee`", "see `domain/gone.py`", "held by `tests/test_it.py::test_gone`"],
)
def test_a_dead_reference_is_found(tmp_path, text):
    plant(tmp_path, "Makefile", "test:\n\ttrue\n")
    plant(tmp_path, "tests/test_it.py", "def test_here(): ...\n")
    plant(tmp_path, "README.md", "[docs](Makefile) `make test` `tests/test_it.py::test_here`\n")
    assert dead_references(tmp_path) == []
    assert len(dead_references(plant(tmp_path, "README.md", text))) == 1
