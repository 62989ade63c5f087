"""Self time from traces: nesting, overlap, lost parents; and blame by Ochiai's coefficient."""

import numpy as np
import pytest

from analysis.slowness import blame, measure, significant
from analysis.spans import SpanRow, entries, exclusive_ns, peers, self_times, shifts, table

MS = 1_000_000


def row(span, parent, entity, start, end, operation="op", trace="t", failed=False):
    return SpanRow(trace, span, parent, entity, operation, start * MS, end * MS, failed)


def own_ms(*rows):
    return (exclusive_ns(table(rows)) / MS).tolist()


def test_time_of_children_is_not_the_parents():
    assert own_ms(row("1", "", "a", 0, 100), row("2", "1", "b", 10, 40), row("3", "1", "b", 50, 90)) == [30, 30, 40]


def test_overlapping_siblings_are_counted_once():
    """A filter that runs beside the call it waits for keeps only what the call does not cover."""
    filter_, call = row("2", "1", "a", 1, 99), row("3", "1", "a", 2, 98)

    assert own_ms(row("1", "", "a", 0, 100), filter_, call) == [2, 2, 96]


def test_own_times_add_up_to_the_wall_time_of_the_trace():
    rng = np.random.default_rng(3)
    rows = [row("0", "", "a", 0, 1000)]
    for number in range(1, 200):
        start = int(rng.integers(0, 900))
        rows.append(row(str(number), "0", "b", start, start + int(rng.integers(1, 100))))

    assert sum(own_ms(*rows)) == pytest.approx(1000)


def test_traces_do_not_mix():
    assert own_ms(row("1", "", "a", 0, 10, trace="x"), row("1", "", "a", 5, 15, trace="y")) == [10, 10]


def test_a_child_that_outlives_its_parent_keeps_its_time():
    assert own_ms(row("1", "", "a", 0, 10), row("2", "1", "b", 5, 30)) == [5, 25]


def test_visits_begin_where_another_entity_or_nobody_called():
    spans = table(
        [row("1", "", "a", 0, 9), row("2", "1", "a", 1, 8), row("3", "2", "b", 2, 7), row("4", "3", "b", 3, 6)]
    )

    assert entries(spans).tolist() == [0, 0, 2, 2]
    assert [spans.entities[p] if p >= 0 else "" for p in peers(spans).tolist()] == ["", "b", "", ""]


def test_a_span_whose_parent_was_lost_begins_a_visit_of_its_own():
    spans = table([row("2", "gone", "b", 0, 9), row("3", "2", "b", 1, 8)])

    assert entries(spans).tolist() == [0, 0]
    assert self_times(spans)["b", "op", ""][0].tolist() == [9.0]


def test_waiting_for_a_callee_is_kept_apart_from_own_work():
    found = self_times(
        table(
            [
                row("1", "", "a", 0, 100, "serve"),
                row("2", "1", "a", 10, 90, "http"),
                row("3", "2", "b", 30, 60, "get", failed=True),
            ]
        )
    )

    assert found["a", "serve", ""][0].tolist() == [20.0]
    assert found["a", "serve", "b"][0].tolist() == [50.0]
    assert found["b", "get", ""] == (pytest.approx([30.0]), 1)


def test_no_spans_no_times():
    assert self_times(table([])) == {}
    assert shifts({}, {}) == ()


CALLEES = {"front": ("left", "right"), "left": ("deep",), "deep": (), "right": ()}


class _Request:
    """One trace of CALLEES. `delay` slows every call to or from an entity, `work` its own work."""

    def __init__(self, rng, trace, delay, work):
        self.rng, self.trace, self.delay, self.work = rng, trace, delay, work
        self.clock = 0
        self.rows = []

    def spend(self, ms):
        self.clock += max(1, int(ms * self.rng.lognormal(0, 0.1)))

    def span(self, parent, entity, operation, begun):
        name = f"{self.trace}-{len(self.rows)}"
        self.rows.append([name, parent, entity, begun, begun, operation, self.trace])
        return len(self.rows) - 1, name

    def visit(self, entity, parent=""):
        index, name = self.span(parent, entity, f"serve {entity}", self.clock)
        self.spend(320 if entity == self.work else 20)
        for callee in CALLEES[entity]:
            call, call_name = self.span(name, entity, "http", self.clock)
            self.spend(202 if self.delay in (entity, callee) else 2)
            self.visit(callee, call_name)
            self.spend(2)
            self.rows[call][4] = self.clock
        self.spend(5)
        self.rows[index][4] = self.clock


def _traffic(rng, count, *, delay=None, work=None):
    rows = []
    for number in range(count):
        request = _Request(rng, f"t{number}", delay, work)
        request.visit("front")
        rows += [row(*held) for held in request.rows]
    return self_times(table(rows))


@pytest.mark.parametrize("guilty", ["front", "left", "deep", "right"])
@pytest.mark.parametrize("fault", ["delay", "work"])
def test_the_slow_entity_is_found_whether_its_network_or_its_work_is_slow(guilty, fault):
    rng = np.random.default_rng(11)
    parts = measure(shifts(_traffic(rng, 60), _traffic(rng, 60, **{fault: guilty})))

    found = blame(parts)

    assert significant(parts)
    assert max(found, key=lambda entity: found[entity].score) == guilty


def test_equal_windows_are_not_significant():
    quiet = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        quiet += not significant(measure(shifts(_traffic(rng, 40), _traffic(rng, 40))))

    assert quiet == 20


def test_operations_never_seen_before_are_compared_with_their_sort():
    rng = np.random.default_rng(2)
    before, now = _traffic(rng, 40), _traffic(rng, 40)
    now["right", "new", ""] = (np.full(30, 900.0), 0)

    found = blame(measure(shifts(before, now)))

    assert max(found, key=lambda entity: found[entity].score) == "right"
