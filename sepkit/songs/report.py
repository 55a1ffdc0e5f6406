"""`report.html` beside separated stems: a page to inspect and play them, without references and scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError, ConfigError, SepkitError
from sepkit.report import FileSignal, Limits, PageContent, SeparatedSong, SongSection, Stem, page_section, write_report
from sepkit.songs.batch import SongResult
from sepkit.songs.inputs import track_name
from sepkit.songs.pipeline import SeparationOptions, StemFiles

NAME = "report.html"


def report_file(options: SeparationOptions) -> Path:
    """Return the path of the report.

    Raises:
        ConfigError: it exists, or a format holds all stems in one file, which the page cannot play.
    """
    if options.output.all_in_one:
        raise ConfigError(
            "--report plays stems from files of their own, which .stem.mp4 has not; take another --format"
        )
    path = options.output.root / NAME
    if path.exists() and not (options.overwrite or options.skip_existing):
        raise ConfigError(f"{path} exists; give another -o, or --overwrite to replace it")
    return path


def write_report_of(results: Sequence[SongResult], options: SeparationOptions) -> Path:
    """Write the report of all songs that have stems, and return its path.

    Memory does not grow with the length of the songs.

    Raises:
        ConfigError: see `report_file`; also if the file cannot be written.
    """
    path = report_file(options)
    limits = Limits(songs=sum(result.stems is not None for result in results))
    failed = {str(result.input): result.error for result in results if result.error}
    sections: list[SongSection] = []
    with Decoder() as decoder:
        for result in results:
            if result.stems:
                try:
                    sections.append(page_section(_song(result.input, result.stems, options, decoder), limits))
                except SepkitError as error:
                    failed[str(result.input)] = str(error)
    facts = (
        ("Songs", f"{len(sections)} separated, {len(failed)} failed"),
        ("Scores", "none: the true stems are unknown"),
    )
    report = PageContent("Separated songs", facts=facts, failed=tuple(failed.items()), sections=tuple(sections))
    write_report(path, report, limits)
    return path


def _song(path: Path, written: StemFiles, options: SeparationOptions, decoder: Decoder) -> SeparatedSong:
    """Return a song and its stems. The mixture starts where they do, and is turned down as they are."""
    stems = tuple(Stem(name, FileSignal.of(file, decoder)) for name, file in written.files.items())
    whole = FileSignal.of(path, decoder)
    start = round(options.start * whole.sample_rate)
    length = stems[0].estimate.frames
    if start + length > whole.frames:
        raise AudioError(f"{path}: shorter than its stems, so it was replaced; separate it again")
    gain = 1.0 if written.gain is None else written.gain
    place = next(iter(written.files.values())).relative_to(options.output.root).with_suffix("").as_posix()
    name = place.removesuffix(stems[0].name).rstrip("/ _-") or track_name(path)  # unique, as places are
    return SeparatedSong(name, replace(whole, start=start, frames=length, gain=gain), stems)
