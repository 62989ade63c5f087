"""What telemetry says is shown as letters: no byte of it may move a cursor, set a title, hide or turn text around."""

import io

import pytest
from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from cli.answers import Columns
from cli.render import Terminal, plain, table

HOSTILE = "gone\x1b[2J\x1b]0;owned\x07 \x9b1A\u202etxet\u2066\x00\x08\r\x7f"
SHOWN = "gone[2J]0;owned 1Atxet"


def _drawn(shown: object, **how: bool) -> str:
    out = io.StringIO()
    Terminal(file=out, width=80, force_terminal=False).print(shown, **how)
    return out.getvalue()


def test_controls_are_taken_out_and_lines_stay() -> None:
    assert plain(HOSTILE) == SHOWN
    assert plain("a\n\tb") == "a\n\tb"


@pytest.mark.parametrize("markup", [True, False])
def test_no_control_reaches_the_terminal_whatever_it_is_wrapped_in(markup: bool) -> None:
    grid = Table.grid()
    grid.add_row(HOSTILE)
    titled = Table(title=HOSTILE)
    titled.add_column(HOSTILE)
    for shown in (HOSTILE, Text(HOSTILE), grid, titled):
        drawn = _drawn(shown, markup=markup)
        assert not any(ord(c) < 32 and c != "\n" for c in drawn)
        assert not set(drawn) & {"\x7f", "\x9b", "\u202e", "\u2066"}
        assert "gone" in drawn


def test_our_own_colours_stay() -> None:
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, color_system="standard").print("[red]x[/]")
    assert "\x1b[31m" in out.getvalue()


def test_a_listing_keeps_every_value_whole_and_drops_empty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    columns = Columns("Commands", (("id", "id"), ("kind", "kind"), ("incident", "incident")))
    rows: list[JsonValue] = [{"id": "01KKBWBWJ00K63DXKNSJBYFWJG", "kind": "k" * 90 + "[x]"}]
    table(columns, rows)
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "kind"]
    assert line.split() == ["01KKBWBWJ00K63DXKNSJBYFWJG", "k" * 90 + "[x]"]
