"""Cases of services: a case holds only if its checks do and its planted break turns one of them red."""

import pytest

from evals.service_cases import Case, Check, Measured, run_cases


def measured(value):
    return Measured(checks=(Check(name="found", value=value, bound=1.0),), figures={})


def case(honest, damaged):
    async def run(seed, home):
        assert not list(home.iterdir())
        (home / "left").touch()
        return measured(honest)

    async def planted(seed, home):
        return measured(damaged)

    return Case(name="c", covers="s", summary="", run=run, planted=planted, breaks="it")


@pytest.mark.parametrize(("honest", "damaged", "ok"), [(1, 0, True), (1, 1, False), (0, 0, False), (0, 1, False)])
def test_a_case_holds_only_where_its_break_is_noticed(honest, damaged, ok):
    (result,) = run_cases([case(honest, damaged)], [7])
    assert result.ok is ok


def test_a_case_without_checks_never_holds():
    assert not Measured(checks=(), figures={}).ok


def test_every_seed_is_run_in_an_empty_folder():
    assert [r.seed for r in run_cases([case(1, 0)], [1, 2])] == [1, 2]


@pytest.mark.parametrize(("at", "good", "bad"), [("least", 2, 0), ("most", 0, 2), ("exactly", 1, 2)])
def test_bounds_are_meant_as_they_are_named(at, good, bad):
    assert Check(name="n", value=good, bound=1, at=at).ok
    assert not Check(name="n", value=bad, bound=1, at=at).ok
