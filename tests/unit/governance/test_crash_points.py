"""Every crash point in code is on the list, and a store that refuses writes lets nothing start."""

from pathlib import Path

import pytest

from domain.commands import State
from domain.crash_points import CRASH_POINTS, POINTS
from domain.errors import Unavailable
from storage.engine import Database
from tests.support.governed import GovernedPath, governed_path

ROOT = Path(__file__).parents[3]


def test_every_point_is_named_once_and_reached_somewhere() -> None:
    rooms = ("governance", "storage", "mesh", "runtime", "tools")
    code = "".join(file.read_text() for room in rooms for file in (ROOT / room).rglob("*.py"))
    reached = {name for name in POINTS if f'"{name}"' in code}
    assert len(CRASH_POINTS) == len(POINTS)
    assert reached == POINTS


def test_a_path_meets_only_listed_points(path: GovernedPath) -> None:
    path.reach(State.SUCCEEDED)
    path.reach(State.UNDOING)
    assert set(path.points.met) <= POINTS
    assert len(set(path.points.met)) >= 12


def test_a_store_that_refuses_writes_lets_nothing_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = Database(url)
    store.create()
    path = governed_path(store, tmp_path)
    record = path.decided("allow")
    broken = governed_path(Database(url, read_only=True), tmp_path, path.clock, seed=8)
    with pytest.raises(Unavailable):
        broken.claim(record)
    with pytest.raises(Unavailable):
        broken.proposed("cart")
    assert path.read(record).state is State.APPROVED
