"""`report.html` beside separated stems: what there is to see and to hear of them, without references and scores."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError, ConfigError, SepkitError
from sepkit.report import FileSignal, Limits, Report, Section, Song, Stem, page_section, write_report
from sepkit.songs.batch import Result
from sepkit.songs.inputs import track_name
from sepkit.songs.job import Wish
from sepkit.songs.output import Output

NAME = "report.html"


def report_file(wish: Wish) -> Path:
    """Return where the report goes.

    Raises:
        ConfigError: it exists, or a format holds all stems in one file, which the page cannot play.
    """
    output: Output = wish.output
    if output.all_in_one:
        raise ConfigError(
            "--report plays stems from files of their own, which .stem.mp4 has not; take another --format"
        )
    path = output.root / NAME
    if path.exists() and not (wish.overwrite or wish.skip_existing):
        raise ConfigError(f"{path} exists; give another -o, or --overwrite to replace it")
    return path


def write_report_of(results: Sequence[Result], wish: Wish) -> Path:
    """Write the report of all songs that were separated, or were there already, and return its path.

    Memory does not grow with the length of the songs.

    Raises:
        ConfigError: see `report_file`; also if the file cannot be written.
    """
    path = report_file(wish)
    done = [result for result in results if result.written]
    limits = Limits(songs=len(done))
    failed = {str(result.input): result.error for result in results if result.error}
    sections: list[Section] = []
    with Decoder() as decoder:
        for result in done:
            try:
                sections.append(page_section(_song(result, wish, decoder), limits))
            except SepkitError as error:
                failed[str(result.input)] = str(error)
    facts = (
        ("Songs", f"{len(sections)} separated, {len(failed)} failed"),
        ("Scores", "none: the true stems are unknown"),
    )
    report = Report("Separated songs", facts=facts, failed=tuple(failed.items()), sections=tuple(sections))
    write_report(path, report, limits)
    return path


def _song(result: Result, wish: Wish, decoder: Decoder) -> Song:
    """Return a song and its stems. The mixture starts where they do, and is turned down as they are."""
    assert result.written is not None
    stems = tuple(_stems(result.written.files, decoder))
    whole = FileSignal.of(result.input, decoder)
    start = round(wish.start * whole.sample_rate)
    length = stems[0].estimate.frames
    if start + length > whole.frames:
        raise AudioError(f"{result.input}: shorter than its stems; was it replaced?")
    gain = 1.0 if result.written.gain is None else result.written.gain
    return Song(_name(result, wish), replace(whole, start=start, frames=length, gain=gain), stems)


def _name(result: Result, wish: Wish) -> str:
    """Return what is left of the place of a stem without the stem: no two songs share it."""
    assert result.written is not None
    stem, file = next(iter(result.written.files.items()))
    place = file.relative_to(wish.output.root).with_suffix("").as_posix()
    return place.removesuffix(stem).rstrip("/ _-") or track_name(result.input)


def _stems(files: dict[str, Path], decoder: Decoder) -> Iterator[Stem]:
    for name, file in files.items():
        yield Stem(name, FileSignal.of(file, decoder))
