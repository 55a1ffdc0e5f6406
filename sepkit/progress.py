"""How far a long search has come: a bar on stderr in a terminal, a line at its start anywhere else."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def watched(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """Yield `items`, and show how many of `total` have come; nothing if there are none."""
    if not total:
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{text} ({total})", highlight=False, soft_wrap=True, markup=False)
        yield from items
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(items, total=total, description=text)
