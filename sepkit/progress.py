"""Progress on stderr: bars in a terminal, for which alone rich is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sepkit.terminal import console, say

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")


def with_bar(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """Yield `items` under a bar that counts to `total`, if there are any. Off a terminal a line stands at the start."""
    if not total:
        return
    if not _in_terminal():
        say(f"{text} ({total})")
        yield from items
        return
    with _bars("MofNCompleteColumn") as bar:
        yield from bar.track(items, total=total, description=text)


@contextmanager
def transferring(text: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback (done, total) in bytes; total 0 is unknown. Outside of a terminal a line stands at the start."""
    if not _in_terminal():
        say(text)
        yield lambda _done, _total: None
        return
    with _bars("DownloadColumn") as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


class SongBars:
    """Context manager: a bar on stderr for the current song in a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._bars = _bars("TaskProgressColumn") if _in_terminal() else None

    @property
    def shown(self) -> bool:
        """True in a terminal, which shows bars."""
        return self._bars is not None

    def say(self, line: str) -> None:
        """Write a line on stderr, above the bar if there is one."""
        if self._bars:
            self._bars.console.print(line, soft_wrap=True)
        else:
            say(line)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, name: str) -> Callable[[float, float], None]:
        """Return a callback (done, total) for the next song; its bar replaces the last one.

        Once all is done, the bar says that the stems are being written.
        """
        bars = self._bars
        if bars is None:
            return lambda _done, _total: None
        for task in bars.task_ids:
            bars.remove_task(task)
        task = bars.add_task(name)

        def tell(done: float, total: float) -> None:
            text = name if done < total else f"{name}, writing"
            bars.update(task, completed=done, total=total, description=text)

        return tell


def _in_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _bars(column: str) -> Progress:
    """Return bars between a text, and a column of rich's with the time left."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        getattr(progress, column)(),
        progress.TimeRemainingColumn(),
    )
    return progress.Progress(*columns, console=console(), transient=True)
