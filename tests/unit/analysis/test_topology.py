"""Who explains whom on the dependency graph."""

from analysis.topology import Graph, absorbed, own_excess
from domain.topology import Edge


def graph(*pairs, kind="calls"):
    return Graph(Edge(kind=kind, source=a, target=b) for a, b in pairs)


def test_a_callee_takes_its_excess_off_the_caller():
    assert own_excess(graph(("a", "b"), ("b", "c")), {"a": 10.0, "b": 9.0, "c": 8.0}) == {"a": 1.0, "b": 1.0, "c": 8.0}


def test_healthy_or_unmeasured_entities_do_not_hide_what_lies_behind_them():
    assert own_excess(graph(("a", "silent"), ("silent", "c")), {"a": 10.0, "c": 9.0})["a"] == 1.0


def test_own_excess_is_never_negative():
    assert own_excess(graph(("a", "b"), ("a", "c")), {"a": 10.0, "b": 9.0, "c": 9.0})["a"] == 0.0


def test_a_circle_of_calls_ends():
    circle = graph(("a", "b"), ("b", "a"))

    assert own_excess(circle, {"a": 10.0, "b": 4.0}) == {"a": 6.0, "b": 0.0}
    assert circle.below("a") == {"a", "b"}


def test_hosts_lie_below_what_runs_on_them_but_are_not_called():
    hosted = graph(("a", "node"), kind="runs_on")

    assert hosted.below("a") == {"a", "node"}
    assert hosted.reachable_anomalies("a", {"node"}) == set()
    assert hosted.hosted == {"node": {"a"}}


def test_unknown_entities_have_nothing_below_them():
    assert graph(("a", "b")).below("stranger") == {"stranger"}
    assert not graph(("a", "b")).knows("stranger")


def test_failures_that_callers_usually_survive_are_absorbed():
    shop = graph(("a", "flaky"), ("a", "sound"))

    assert absorbed(shop, {"a": 1.0, "flaky": 9.0, "sound": 1.5}) == {"flaky"}
    assert absorbed(shop, {"flaky": 9.0}) == set()
