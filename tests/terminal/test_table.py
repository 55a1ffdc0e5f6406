"""Tables: whole off a terminal; on one, text wraps first and names are folded last."""

import io
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sepkit.terminal import Column, Table, console

LONG = "AdmiralCrumple_KeepsFlowing_(a_remix)"


def shown(table, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def example():
    columns = Column("song"), Column("ideal ratio mask (46 ms)", "number"), Column("finding", "text")
    table = Table(columns, "a title that is long enough to be wrapped in a narrow terminal")
    table.add(LONG, "-10.29", "it has words that may be wrapped, one by one, and that say a lot")
    return table


def test_off_a_terminal_nothing_is_wrapped():
    out = io.StringIO()
    console(out).print(example())
    title, _, headings, _, row = out.getvalue().splitlines()
    assert title == example().title
    assert "ideal ratio mask (46 ms)" in headings
    assert LONG in row
    assert "one by one, and that say a lot" in row


def test_on_a_terminal_words_of_text_and_headings_wrap_and_names_stay_whole():
    lines = shown(example(), 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert all(word in text for word in (LONG, "ratio", "(46", "-10.29", "wrapped,"))
    assert len(lines) > 5


def test_names_are_folded_where_nothing_else_is_left():
    lines = shown(example(), 40)
    assert max(map(len, lines)) <= 40
    assert LONG not in "\n".join(lines)
    assert "…" not in "\n".join(lines)


def test_wide_characters_take_two_columns():
    table = Table([Column("곡"), Column("점수", "number")])
    table.add("노래" * 10, "1.00")
    assert "노래" * 10 in shown(table, 48)[2]
    assert "노래" * 10 not in "\n".join(shown(table, 40))


def test_brackets_and_control_characters_are_text():
    table = Table([Column("song")])
    table.add("[bold]a\x1b[31mb\x07")
    assert shown(table, 80)[-1] == "[bold]a?[31mb?"


CELLS = st.text("ab노\u00a0 \u3000[x]é-", max_size=40)


@settings(max_examples=30)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), st.integers(20, 120))
def test_no_character_is_lost_and_no_line_is_too_long(rows, width):
    table = Table([Column("song"), Column("score", "number"), Column("finding", "text")])
    for row in rows:
        table.add(*row)
    lines = shown(table, width)
    assert max(map(cell_len, lines)) <= width
    expected = "".join(["song", "score", "finding", *(cell for row in rows for cell in row)])
    assert Counter("".join(expected.split())) == Counter("".join("".join(lines).replace("─", "").split()))
