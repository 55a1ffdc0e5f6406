"""How far work has come: a bar on stderr in a terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from sepkit.terminal import console, say

Item = TypeVar("Item")


def note(text: str) -> None:
    """Say `text` on stderr, in one line."""
    Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)


def watched(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """Yield `items`, and show how many of `total` have come; nothing if there are none. Outside of a terminal a line
    stands at the start.
    """
    if not total:
        return
    screen = console()
    if not screen.is_terminal:
        say(f"{text} ({total})")
        yield from items
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        yield from bar.track(items, total=total, description=text)


@contextmanager
def transferring(text: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what is to be told how many bytes of how many have come (0: nobody knows how many). Outside of a terminal a
    line stands at the start.
    """
    screen = console()
    if not screen.is_terminal:
        say(text)
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


class Songs:
    """Context manager: a bar on stderr in a terminal for each song that is worked on, and nothing anywhere else."""

    def __init__(self) -> None:
        screen = console()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)

    @property
    def shown(self) -> bool:
        """Whether there is a terminal to show bars in."""
        return not self._bars.disable

    def say(self, line: str) -> None:
        """Write a line on stderr, above the bar if there is one."""
        self._bars.console.print(line, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def watched(self, name: str) -> Callable[[float, float], None]:
        """Return what is to be told how much of how much is done of the next song; the bar of the last one goes.

        Once all is done, what was made is being written, and the bar says so.
        """
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        task = self._bars.add_task(name)

        def tell(done: float, total: float) -> None:
            text = name if done < total else f"{name}, writing"
            self._bars.update(task, completed=done, total=total, description=text)

        return tell
