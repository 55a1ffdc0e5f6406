"""The signals of a song, read in step: the mixture, and of each stem the estimate, the reference and the residual.

They are called "mixture", and for stem number n "estimate n", "reference n" and "residual n": the mixture minus the
estimate.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.errors import AudioError
from sepkit.report.signal import Read
from sepkit.report.song import SeparatedSong


class Sources:
    """The sources of a song, open for reading: their names, rate in Hz, and length in samples."""

    def __init__(self, song: SeparatedSong, readers: Mapping[str, Read]) -> None:
        kinds = ("estimate", "reference", "residual")
        names = [f"{kind} {number}" for number in range(len(song.stems)) for kind in kinds]
        self.names = ("mixture", *(name for name in names if name in readers or name.startswith("residual")))
        self.sample_rate, self.frames = song.mixture.sample_rate, song.mixture.frames
        self._channels = song.mixture.channels
        self._readers = readers

    def read(self, names: Sequence[str], start: int, frames: int) -> dict[str, Samples]:
        """Return samples [start, start + frames) of some sources, each [channel, time] as wide as the mixture."""
        found: dict[str, Samples] = {}
        for name in names:
            parts = ["mixture", name.replace("residual", "estimate")] if name.startswith("residual") else [name]
            for part in parts:
                if part not in found:
                    found[part] = to_channels(self._readers[part](start, frames), self._channels)
            found[name] = found["mixture"] - found[parts[-1]] if len(parts) > 1 else found[name]
        return {name: found[name] for name in names}


@contextmanager
def open_sources(song: SeparatedSong) -> Iterator[Sources]:
    """Open the sources of a song.

    Raises:
        AudioError: they are not at one rate, or a file cannot be read.
    """
    signals = {"mixture": song.mixture}
    for number, stem in enumerate(song.stems):
        signals[f"estimate {number}"] = stem.estimate
        if stem.reference is not None:
            signals[f"reference {number}"] = stem.reference
    rate = song.mixture.sample_rate
    for name, other in signals.items():
        if other.sample_rate != rate:
            raise AudioError(
                f"{song.name}: its mixture has {rate} Hz, its {name} {other.sample_rate} Hz; resample one of them"
            )
    with ExitStack() as opened:
        yield Sources(song, {name: opened.enter_context(signal.reader()) for name, signal in signals.items()})
