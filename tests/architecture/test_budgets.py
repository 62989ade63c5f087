import pytest

from tests.architecture.budgets import measure
from tests.architecture.planting import plant
from tests.architecture.source import REPOSITORY

LONG_FUNCTION = "def long() -> None:\n" + "    x = 1\n" * 60


def over(root):
    return [figure.name for figure in measure(root) if not figure.kept]


def test_the_budgets_hold():
    assert [str(figure) for figure in measure(REPOSITORY) if not figure.kept] == []


@pytest.mark.parametrize(
    ("path", "text", "figure"),
    [
        ("tools/planted.py", "x = 1\n" * 401, "longest module, lines"),
        ("tools/planted.py", LONG_FUNCTION, "longest function, lines"),
        ("tools/planted.py", "def medium() -> None:\n" + "    x = 1\n" * 26, "function p90, lines"),
        ("domain/planted.py", "from typing import Any\nx: Any = 1\n" + "\n" * 1000, "Any in domain"),
        ("tools/planted.py", "from typing import Any\nx: Any = 1\n", "Any per thousand lines"),
        ("tools/planted.py", "try:\n    x = 1\nexcept Exception:\n    pass\n", "silent broad excepts"),
        ("tools/planted.py", "try:\n    x = 1\nexcept:\n    x = 2\n", "silent broad excepts"),
        ("tests/test_planted.py", "@pytest.mark.skipif(True)\ndef test_it(): ...\n", "skips and expected failures"),
        ("tests/test_planted.py", "def test_it():\n    unittest.mock.Mock()\n", "mocks per hundred tests"),
    ],
)
def test_exceeding_one_budget_is_found(tmp_path, path, text, figure):
    assert figure in over(plant(tmp_path, path, text))


def test_a_broad_except_that_reports_is_not_silent(tmp_path):
    text = "try:\n    x = 1\nexcept Exception as error:\n    page(error)\n"
    assert over(plant(tmp_path, "mesh/planted.py", text)) == []


def test_a_cycle_is_counted(tmp_path):
    plant(tmp_path, "tools/__init__.py", "from tools import planted\n")
    assert over(plant(tmp_path, "tools/planted.py", "import tools\n")) == ["modules in an import cycle"]
