import pytest

from tests.architecture.planting import plant
from tests.architecture.source import REPOSITORY
from tests.architecture.tables import TABLES, Table, unlisted

ACTIONS = (Table("tools/actions", shared=frozenset({"base"})),)
LISTED = (
    "from tools.actions import restart\nfrom tools.actions.scale import Scale\n\nACTIONS = (Scale(), restart.ACTION)\n"
)


@pytest.fixture
def complete(tmp_path):
    for name in ("base", "scale", "restart"):
        plant(tmp_path, f"tools/actions/{name}.py", "")
    return plant(tmp_path, "tools/actions/__init__.py", LISTED)


def test_every_table_folder_lists_its_entries():
    assert unlisted(REPOSITORY) == []


def test_every_shared_file_exists():
    gone = [
        f"{t.folder}/{name}" for t in TABLES for name in t.shared if not list((REPOSITORY / t.folder).glob(f"{name}*"))
    ]
    assert gone == []


def test_a_complete_table_passes(complete):
    assert unlisted(complete, ACTIONS) == []


def test_a_file_without_its_line_is_found(complete):
    plant(complete, "tools/actions/drain.py", "")
    assert unlisted(complete, ACTIONS) == ["tools/actions/__init__.py: no line for drain"]


def test_an_import_alone_is_not_a_line(complete):
    plant(complete, "tools/actions/__init__.py", LISTED.replace("restart.ACTION", "None"))
    assert unlisted(complete, ACTIONS) == ["tools/actions/__init__.py: no line for restart"]


def test_a_folder_that_registers_by_decorator_has_no_lines(complete):
    plant(complete, "tools/actions/__init__.py", "from tools.actions import restart, scale\n")
    assert unlisted(complete, ACTIONS) == [
        "tools/actions/__init__.py: no line for restart",
        "tools/actions/__init__.py: no line for scale",
    ]


def test_a_second_row_in_a_listed_file_needs_its_own_line(tmp_path):
    text = "A = Fault()\nB = _row(1)\nLIMIT = float(3)\n\n\ndef _row(size: int) -> Fault: ...\n"
    plant(tmp_path, "faults/load.py", text)
    plant(tmp_path, "faults/__init__.py", "from faults.load import A, B\n\nFAULTS: tuple[Fault, ...] = (A,)\n")
    assert unlisted(tmp_path, (Table("faults", row="Fault"),)) == ["faults/__init__.py: no line for B"]


def test_policy_files_are_listed_by_name(tmp_path):
    plant(tmp_path, "policies/stops.cedar", "")
    plant(tmp_path, "policies/extra.cedar", "")
    plant(tmp_path, "policies/__init__.py", 'FILES = ("stops.cedar",)\n')
    assert unlisted(tmp_path, (Table("policies"),)) == ["policies/__init__.py: no line for extra"]


def test_a_package_is_an_entry(tmp_path):
    plant(tmp_path, "agents/skeleton.py", "")
    plant(tmp_path, "agents/sre/__init__.py", "")
    plant(tmp_path, "agents/__init__.py", "")
    assert unlisted(tmp_path, (Table("agents", packages_only=True),)) == ["agents/__init__.py: no line for sre"]
