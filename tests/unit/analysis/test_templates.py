"""Log templates: variable parts are masked, near-equal lines merge, different messages stay apart."""

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
        "908b3a22b2839293",
    ],
)
def test_variable_parts_are_masked(value):
    assert mask(f"read {value} done") == f"read {WILDCARD} done"


def test_words_are_kept():
    assert mask("cannot open session for user") == "cannot open session for user"


def test_lines_that_differ_in_one_word_share_a_template():
    assert len(set(group(["user alice logged in from web", "user bob logged in from web"]))) == 1


def test_different_messages_stay_apart():
    assert len(set(group(["connection closed by peer", "queue is full again", "connection opened"]))) == 3


def test_a_template_generalises_as_lines_come():
    templater = Templater()
    first = templater.add("user alice logged in")
    assert templater.text(first) == "user alice logged in"

    assert templater.add("user bob logged in") == first
    assert templater.text(first) == f"user {WILDCARD} logged in"


def test_repeating_a_line_gives_the_same_template():
    templater = Templater()
    assert templater.add("order 17 paid") == templater.add("order 99 paid") == templater.add("order 17 paid")


def test_empty_and_blank_lines_have_a_template_too():
    assert group(["", "   "]) == [0, 0]
