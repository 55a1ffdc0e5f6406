"""The one description of an audio file, known before it is decoded."""

from dataclasses import dataclass

from sepkit.audio.formats import LONGEST
from sepkit.audio.tags import NO_TAGS, Tags
from sepkit.errors import AudioError
from sepkit.track import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, AudioFile


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Rate in Hz, channel count, frames (samples of each channel), and the file's tags if they were asked for.

    The number of frames is no estimate: decoding brings as many. `counted`: the file does not state it.
    """

    sample_rate: int
    channels: int
    frames: int
    counted: bool = False
    tags: Tags = NO_TAGS

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def check_bounds(file: AudioFile, sample_rate: int, channels: int, frames: int | None) -> None:
    """Raise AudioError for a file beyond the limits of sepkit; `frames` of None are not known yet."""
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(
            f"{file}: {sample_rate} Hz and {channels} channels; "
            f"sepkit reads {LOWEST_RATE} to {HIGHEST_RATE} Hz and up to {MOST_CHANNELS} channels: convert the file"
        )
    if frames is None:
        return
    if frames < 1:
        raise AudioError(f"{file}: the file holds no samples; export it again")
    if frames > LONGEST * 3600 * sample_rate:
        raise AudioError(
            f"{file}: its header claims {frames / sample_rate / 3600:.0f} hours, or does not know its length; "
            f"sepkit reads up to {LONGEST} hours: export the file again"
        )
