"""Ids rise strictly, virtual time never falls, settings say which variable is wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Invalid, Unavailable
from mesh.lock import announced, exclusive, running_server
from mesh.settings import read_settings
from mesh.time import UlidIds, VirtualClock

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_ids_rise_strictly_within_one_instant():
    ids = UlidIds(VirtualClock(AT), seed=1)
    made = [ids.ulid() for _ in range(1000)]
    assert made == sorted(set(made))


def test_seeded_ids_repeat_and_unseeded_do_not():
    def first(seed: int | None) -> str:
        return UlidIds(VirtualClock(AT), seed=seed).ulid()

    assert first(3) == first(3)
    assert first(None) != first(None)


def test_virtual_time_never_falls():
    clock = VirtualClock(AT)
    clock.move_to(AT - timedelta(hours=1))
    assert clock.now() == AT


def test_settings_read_the_environment_and_name_what_is_wrong(tmp_path):
    assert read_settings({"OPSMESH_HOME": str(tmp_path), "OPSMESH_PORT": "9000"}).port == 9000
    with pytest.raises(Invalid, match="OPSMESH_PORT"):
        read_settings({"OPSMESH_PORT": "many"})


def test_settings_never_print_a_key():
    settings = read_settings({"OPENAI_API_KEY": "sk-secret", "OPSMESH_TOKEN": "tok-secret"})
    assert "secret" not in repr(settings)


def test_a_second_owner_of_the_state_folder_is_told_who_has_it(tmp_path):
    with exclusive(tmp_path), pytest.raises(Unavailable, match="in use by process"), exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_a_server_is_found_while_it_lives(tmp_path):
    with announced(tmp_path, "http://127.0.0.1:1"):
        found = running_server(tmp_path)
        assert found is not None
        assert found.url == "http://127.0.0.1:1"
    assert running_server(tmp_path) is None
