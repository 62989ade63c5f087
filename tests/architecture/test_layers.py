import shutil
from pathlib import Path

from tests.architecture.layers import contracts, cycle, foreign_owners, strangers
from tests.architecture.planting import plant
from tests.architecture.rooms import ROOMS
from tests.architecture.source import REPOSITORY, modules


def copy_of_rooms(root: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(REPOSITORY / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    return root


def test_the_import_contracts_hold():
    kept, report = contracts(REPOSITORY)
    assert kept, report


def test_a_sibling_import_breaks_the_contracts(tmp_path):
    root = plant(copy_of_rooms(tmp_path), "governance/planted.py", "import agents\n")
    kept, report = contracts(root)
    assert not kept
    assert "governance.planted -> agents" in report


def test_an_upward_import_breaks_the_contracts(tmp_path):
    root = plant(copy_of_rooms(tmp_path), "domain/planted.py", "def late() -> None:\n    import storage\n")
    kept, report = contracts(root)
    assert not kept
    assert "domain.planted -> storage" in report


def test_libraries_stay_in_the_rooms_that_adapt_them():
    assert strangers(REPOSITORY) == []


def test_a_vendor_in_the_wrong_room_is_found(tmp_path):
    root = plant(tmp_path, "domain/planted.py", "from numpy.linalg import norm\n")
    assert strangers(root) == ["domain/planted.py:1: domain/ may not import numpy"]


def test_modules_import_each_other_without_cycles():
    assert cycle(modules(REPOSITORY, ROOMS)) == []


def test_a_cycle_is_found_even_through_lazy_and_relative_imports(tmp_path):
    plant(tmp_path, "tools/__init__.py", "")
    plant(tmp_path, "tools/one.py", "from .two import b\n")
    plant(tmp_path, "tools/two.py", "def b() -> None:\n    from tools import one\n")
    assert set(cycle(modules(tmp_path, ["tools"]))) == {"tools.one", "tools.two"}


def test_no_installed_distribution_provides_one_of_our_names():
    assert foreign_owners() == {}


def test_a_distribution_with_one_of_our_names_is_found(tmp_path, monkeypatch):
    plant(tmp_path, "intruder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    plant(tmp_path, "intruder-1.0.dist-info/top_level.txt", "tools\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert foreign_owners() == {"tools": ["intruder"]}
