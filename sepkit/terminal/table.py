"""Tables of reports. Off a terminal nothing is cut or wrapped; on one, text wraps at words first, and names, which are
to be typed or searched for, are folded last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sepkit.terminal.text import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# Characters between two columns, and of a word in text that stays whole before names are folded: longer ones are paths.
_GAP = 2
_LONGEST_WORD = 26


@dataclass(frozen=True, slots=True)
class Column:
    """A column: names stay whole as long as possible, text wraps, numbers stand at the right under a name."""

    heading: str
    kind: Literal["name", "text", "number"] = "name"


@dataclass
class Table:
    """Rows of cells with headings, for `console.print`."""

    columns: Sequence[Column]
    title: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    marked: set[int] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)

    def add(self, *cells: str, marked: bool = False) -> None:
        """Append a row; a marked one is coloured on a terminal."""
        if marked:
            self.marked.add(len(self.rows))
        self.rows.append(tuple(map(printable, cells)))

    def end_section(self) -> None:
        """Separate the rows so far from those that follow."""
        self.ends.add(len(self.rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title and the table, in the width of the console."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        for column, width in zip(self.columns, self._widths(options.max_width), strict=True):
            justify: Literal["left", "right"] = "right" if column.kind == "number" else "left"
            table.add_column(Text(column.heading), justify=justify, width=width, overflow="fold")
        for number, row in enumerate(self.rows):
            style = "yellow" if number in self.marked else ""
            table.add_row(*(Text(cell) for cell in row), style=style, end_section=number in self.ends)
        if self.title:
            yield Text(f"{self.title}\n")
        yield table

    def _widths(self, available: int) -> list[int]:
        """Return the width of each column: the one that it needs, or less in a narrow terminal.

        Steps are taken until the table fits: text and headings wrap at words, long words of text
        break, names wrap at words, everything breaks.
        """
        from rich.cells import cell_len

        def longest(texts: Sequence[str]) -> int:
            return max((cell_len(text) for text in texts), default=0)

        widths, floors = [], []
        for number, column in enumerate(self.columns):
            cells = [line for row in self.rows for line in row[number].splitlines()]
            widths.append(longest([column.heading, *cells]))
            word = longest([word for text in (column.heading, *cells) for word in text.split()])
            if column.kind == "name":
                whole = longest([*column.heading.split(), *cells])
                floors.append((whole, whole, word, 1))
            else:
                floors.append((word, min(word, _LONGEST_WORD), min(word, _LONGEST_WORD), 1))
        for step in zip(*floors, strict=True):
            narrow(widths, step, available - _GAP * (len(widths) - 1))
        return widths


def narrow(widths: list[int], floors: Sequence[int], available: int) -> None:
    """Take from the widest of `widths` that is above its floor until their sum is `available`, or none is above."""
    while sum(widths) > available:
        above = [n for n, (width, floor) in enumerate(zip(widths, floors, strict=True)) if width > floor]
        if not above:
            return
        widths[max(above, key=lambda n: widths[n])] -= 1
