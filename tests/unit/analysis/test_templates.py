"""Log templates: variable parts are masked, places that show many words merge, different messages stay apart."""

import pytest

from analysis.templates import WILDCARD, Templater, group, mask


@pytest.mark.parametrize(
    "value",
    [
        "10.0.3.7",
        "10.0.3.7:8080",
        "69b016b5-e5ac-4e01-b09f-1d38826e2e3f",
        "0x7ffe01",
        "/var/lib/app/data.db",
        "https://example.org/a?b=c",
        "2026-11-23T10:00:01.250Z",
        "4096",
        "12.5%",
        "5.2 KB",
        "908b3a22b2839293",
    ],
)
def test_variable_parts_are_masked(value):
    assert mask(f"read {value} done") == f"read {WILDCARD} done"


def test_words_are_kept():
    assert mask("cannot open session for user") == "cannot open session for user"


NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")


def test_a_place_that_shows_many_words_becomes_variable_for_earlier_lines_too():
    lines = [f"user {name} logged in from web" for name in NAMES]

    assert len(set(group(lines))) == 1
    templater = Templater()
    first, *_ = [templater.add(line) for line in lines]
    assert templater.text(first) == f"user {WILDCARD} logged in from web"


def test_two_outcomes_stay_two_templates():
    lines = ["volume mount started", "volume mount finished"] * 50

    assert len(set(group(lines))) == 2


def test_different_messages_stay_apart():
    assert len(set(group(["connection closed by peer", "queue is full again", "connection opened"]))) == 3


def test_lines_of_one_word_stay_apart_however_many():
    assert len(set(group(list(NAMES)))) == len(NAMES)


def test_several_places_can_become_variable():
    lines = [f"user {name} opened {thing} file" for name in NAMES for thing in NAMES]

    assert len(set(group(lines))) == 1


def test_lists_of_any_length_are_one_template():
    assert len(set(group(["nodes 1 2 3 down", "nodes 7 down", "nodes 4 5 down"]))) == 1


def test_repeating_a_line_gives_the_same_template():
    templater = Templater()
    assert templater.add("order 17 paid") == templater.add("order 99 paid") == templater.add("order 17 paid")


def test_empty_and_blank_lines_have_a_template_too():
    assert group(["", "   "]) == [0, 0]
