"""The separator of the Python API: signals, and audio files of any length."""

from __future__ import annotations

from pathlib import Path

from sepkit.audio.writing.encoding import BitDepth, Format
from sepkit.songs.batch import separate_one
from sepkit.songs.inputs import InputSong, track_name
from sepkit.songs.output import Output
from sepkit.songs.pipeline import SeparationOptions, StemFiles
from sepkit.songs.signal_separator import SignalSeparator


class Separator(SignalSeparator):
    """Separates signals and files with one model."""

    def separate_file(
        self,
        path: str | Path,
        output: str | Path,
        *,
        stems: tuple[str, ...] = (),
        two_stems: str = "",
        format: Format | None = None,  # noqa: A002
        bit_depth: BitDepth | None = None,
        template: str = "",
        start: float = 0.0,
        duration: float = 0.0,
        overwrite: bool = False,
        track: str = "",
    ) -> StemFiles:
        """Separate an audio file of any length into `output`.

        Args:
            path: The song.
            output: A folder that gets `<track>/<stem>.<format>`, or a file name with an audio ending that gets the
                first stem alone.
            stems: Those of `available` to write; `stems` if empty.
            two_stems: A source, to write it and its complement instead of `stems`.
            format: "wav" (the default), "flac", "mp3", "ogg", "aiff" or "stem.mp4".
            bit_depth: "16" (the default), "24" or "float", where the format has one.
            template: Names the files in the folder, such as "{artist} - {title}/{stem}".
            start: Seconds of the song that are left out at its beginning.
            duration: Seconds to separate; 0: up to the end.
            overwrite: Replace earlier stems.
            track: The name of the track; by default that of the file.

        Raises:
            AudioError: the song cannot be read, or the stems cannot be written.
            ConfigError: a stem that the model does not make, or output that exists.
        """
        to = Output.of(Path(output), format, bit_depth, template)
        options = SeparationOptions(to, stems, start, duration, overwrite, two_stems=two_stems)
        return separate_one(self, InputSong(Path(path), track or track_name(Path(path))), options)
