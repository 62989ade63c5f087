"""Every row of the status page holds, its planted break is noticed, and what is `not yet` is really not there."""

import hashlib

import pytest

from evals.status.page import PAGE, page
from evals.status.rows import ROWS
from evals.status.running import show, show_damaged

each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


@each
def test_a_row_is_as_the_page_says(row):
    assert show(row).status == ("not yet" if row.missing else "ok")


@each
def test_a_planted_break_of_a_row_is_noticed(row):
    assert show_damaged(row).status == "stale"


def test_the_page_is_the_table():
    assert PAGE.read_text() == page(ROWS)


def test_every_row_has_its_own_name_and_words():
    assert len({row.id for row in ROWS}) == len({row.quote for row in ROWS}) == len(ROWS)


def test_no_sentence_is_left_out_or_altered():
    """The digest of all quotes in order, taken when they were compared with the roadmap."""
    words = " ".join(" ".join(row.quote.split()) for row in ROWS)
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == "3afc7a27fca61f7f"
