"""What can be heard of a song: the mixture, and of each stem the estimate, the reference and the rest, read in step.

The rest is the mixture minus the estimate. A source is called "mixture", or, for stem number n, "estimate n",
"reference n" and "rest n".
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.errors import AudioError
from sepkit.report.song import Song

if TYPE_CHECKING:
    from sepkit.report.signal import Read, Signal


class Sources:
    """Context manager: the sources of a song, open for reading.

    Raises:
        AudioError: they are not at one rate, or a file cannot be read.
    """

    def __init__(self, song: Song) -> None:
        self._signals: dict[str, Signal] = {"mixture": song.mixture}
        names = ["mixture"]
        for number, stem in enumerate(song.stems):
            self._signals[f"estimate {number}"] = stem.estimate
            if stem.reference is not None:
                self._signals[f"reference {number}"] = stem.reference
            names += [name for name in _names(number) if name in self._signals or name == f"rest {number}"]
        self.names = tuple(names)
        self.sample_rate, self.channels = song.mixture.sample_rate, song.mixture.channels
        self.frames = song.mixture.frames
        self._readers: dict[str, Read] = {}
        self._open = ExitStack()
        for name, signal in self._signals.items():
            if signal.sample_rate != self.sample_rate:
                raise AudioError(
                    f"{song.name}: its mixture has {self.sample_rate} Hz, its {name} {signal.sample_rate} Hz; "
                    "a report needs both at one rate: resample one of them"
                )

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for name, signal in self._signals.items():
                self._readers[name] = opening.enter_context(signal.reader())
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def read(self, names: Iterable[str], start: int, frames: int) -> dict[str, Samples]:
        """Return frames [start, start + frames) of some sources, each [channel, frames] with the mixture's channels."""
        found: dict[str, Samples] = {}

        def signal(name: str) -> Samples:
            if name not in found:
                found[name] = to_channels(self._readers[name](start, frames), self.channels)
            return found[name]

        return {
            name: signal("mixture") - signal(name.replace("rest", "estimate")) if name.startswith("rest")
            else signal(name)
            for name in names
        }  # fmt: skip


def _names(number: int) -> tuple[str, ...]:
    return f"estimate {number}", f"reference {number}", f"rest {number}"
