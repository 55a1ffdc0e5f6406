"""The results of a check, as tables and as plain values."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from math import log10
from typing import Any

from sepkit.audio.listen import Sound
from sepkit.data.check import Check, CheckedSong, Finding
from sepkit.terminal import Column, Table

# Largest number of findings of each severity in a table.
SHOWN = 40


def as_data(check: Check) -> dict[str, Any]:
    """Return all files, songs and findings as plain values."""
    return {
        "usable": check.usable,
        "songs": [
            {
                "dataset": song.dataset,
                "split": song.split,
                "track": song.track.name,
                "artist": song.track.artist,
                "title": song.track.title,
                "mixture_minus_stems_db": song.difference,
                "files": [
                    {"stem": stem, "file": str(file), **(_figures(sound) if isinstance(sound, Sound) else {})}
                    for stem, file, sound in song.files
                ],
            }
            for song in check.songs
        ],
        "findings": [asdict(finding) for finding in check.findings],
    }


def tables(check: Check) -> list[Table | str]:
    """Return a table of the splits, one of the findings, and a verdict."""
    counts = Counter(finding.severity for finding in check.findings)
    verdict = "Everything can be used" if check.usable else "Not everything can be used"
    parts: list[Table | str] = [_splits(check.songs)]
    if check.findings:
        parts.append(_findings(check.findings))
    hidden = sum(max(0, count - SHOWN) for count in counts.values())
    parts += [f"{hidden} more findings: --json has all of them"] if hidden else []
    return [
        *parts,
        f"{verdict}. Unusable: {counts['unusable']}, warnings: {counts['warning']}, notes: {counts['note']}",
    ]


def _figures(sound: Sound) -> dict[str, Any]:
    return {
        "sample_rate": sound.info.sample_rate,
        "channels": sound.info.channels,
        "frames": sound.info.frames,
        "seconds": sound.info.seconds,
        "silent_share": sound.silent_share,
        "peak_db": _decibels(sound.peak),
        "rms_db": _decibels(sound.rms),
        "clipped": sound.clipped,
        "not_finite": sound.not_finite,
        "digest": sound.digest,
    }


def _splits(songs: list[CheckedSong]) -> Table:
    figures = ("songs", "hours", "Hz", "channels", "silent", "peak dB")
    table = Table([Column("corpus"), Column("stem"), *(Column(figure, "number") for figure in figures)])
    for corpus, some in groupby(songs, lambda song: f"{song.dataset} {song.split}"):
        found = [(song, stem, sound) for song in some for stem, _, sound in song.sounds]
        for number, stem in enumerate(dict.fromkeys(stem for _, stem, _ in found)):
            sounds = [sound for _, name, sound in found if name == stem]
            count = len({song.track.name for song, name, _ in found if name == stem})
            table.add("" if number else corpus, stem, str(count), *_summary(sounds))
        table.end_section()
    return table


def _summary(sounds: list[Sound]) -> list[str]:
    seconds = sum(sound.info.seconds for sound in sounds)
    silent = sum(sound.info.seconds * sound.silent_share for sound in sounds)
    peak = _decibels(max(sound.peak for sound in sounds))
    return [
        f"{seconds / 3600:.2f}",
        _range(sound.info.sample_rate for sound in sounds),
        _range(sound.info.channels for sound in sounds),
        f"{silent / seconds:.0%}",
        "-" if peak is None else f"{peak:.1f}",
    ]


def _findings(findings: list[Finding]) -> Table:
    table = Table([*map(Column, ("severity", "split", "song", "file")), Column("finding", "text")])
    for severity in ("unusable", "warning", "note"):
        for finding in [f for f in findings if f.severity == severity][:SHOWN]:
            name = finding.file.replace("\\", "/").rpartition("/")[2]
            table.add(severity, finding.split, finding.track, name, finding.text)
    return table


def _range(values: Iterable[int]) -> str:
    return "/".join(map(str, sorted(set(values))))


def _decibels(amplitude: float) -> float | None:
    return 20 * log10(amplitude) if amplitude else None
