"""A song ready for the page: its pictures, and as much of its sound as its share of the page holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sepkit.report.excerpt import bytes_per_second, encode_excerpts
from sepkit.report.moments import Moment, loud_moments, worst_moments
from sepkit.report.song import Curve, Limits, SeparatedSong, Stem
from sepkit.report.sources import Sources, open_sources
from sepkit.report.spectrogram import ticks
from sepkit.report.view import DIFFERENCE, RANGE, draw_view

# Pixels of the widest picture; that of an excerpt has a share of them.
_COLUMNS = 900
_FEWEST_COLUMNS = 100
_EXCERPT = 0.55
# Bytes of a column of a picture, about. Those of an excerpt are means of fewer windows: less smooth, and
# larger. So may be sound that is not like that of the loudest place.
_COLUMN_BYTES = 20
_ROUGHER = 1.5
_MARGIN = 1.1
# The pictures of the whole song are to take a third of the room at most.
_SHARE = 3
# The shortest excerpt in seconds.
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True)
class SongSection:
    """A song as JSON. Small, and cheap to hand from one process to another."""

    name: str
    json: str


def page_section(song: SeparatedSong, limits: Limits) -> SongSection:
    """Draw and encode a song. Memory does not grow with its length, but for the sound that is in the page.

    Raises:
        AudioError: the signals are not at one rate, or a file cannot be read.
    """
    with open_sources(song) as sources:
        content = _Content(song, sources, limits)
        content.add_whole_sound()
        content.add_excerpts()
        return SongSection(song.name, as_json(content.parts))


def as_json(value: Any) -> str:
    """Return strict JSON, as short as it can be."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


class _Content:
    """The parts of a section, and the bytes that remain for more.

    Excerpts are parts of the whole song's sound where that fits; otherwise each has its own.
    """

    def __init__(self, song: SeparatedSong, sources: Sources, limits: Limits) -> None:
        self._song, self._sources, self._limits = song, sources, limits
        columns = limits.section_bytes // (_SHARE * _COLUMN_BYTES * len(sources.names))
        self._whole = draw_view(sources, 0, sources.frames, max(_FEWEST_COLUMNS, min(_COLUMNS, columns)))
        self.parts: dict[str, Any] = {
            "name": song.name, "seconds": sources.frames / sources.sample_rate, "ticks": ticks(sources.sample_rate),
            "range": RANGE, "difference": DIFFERENCE, "stems": [_stem(stem) for stem in song.stems],
            "whole": self._whole.content, "excerpts": [], "views": [],
        }  # fmt: skip
        self._left = limits.section_bytes - len(as_json(self.parts))
        levels = self._whole.levels["mixture"]
        loudest = (int(levels.argmax()) + 0.5) / len(levels) * self.parts["seconds"]
        self._second = _MARGIN * bytes_per_second(sources, loudest)
        self._pictures = _ROUGHER * _EXCERPT * len(as_json(self._whole.content))

    def add_whole_sound(self) -> None:
        if self.parts["seconds"] * self._second <= self._left:
            self._take(excerpts=encode_excerpts(self._sources, 0, self._sources.frames))

    def add_excerpts(self) -> None:
        total, seconds = self.parts["seconds"], min(self._limits.excerpt_seconds, self.parts["seconds"])
        complete = bool(self.parts["excerpts"])
        if not complete:
            seconds = min(seconds, (self._left - self._pictures) / self._second)
        if seconds < min(total, _SHORTEST) or (complete and total < 2 * seconds):
            return
        self._add_while_room(seconds, sound=not complete)
        while not self.parts["excerpts"] and seconds / 2 >= _SHORTEST:  # it was larger than expected
            seconds /= 2
            self._add_while_room(seconds, sound=True)

    def _add_while_room(self, seconds: float, *, sound: bool) -> None:
        needed = self._pictures + (seconds * self._second if sound else 0)
        for moment in self._moments(self.parts["seconds"], seconds):
            if needed > self._left + 1 or not self._add_excerpt(moment, seconds, sound=sound):
                return

    def _moments(self, total: float, seconds: float) -> list[Moment]:
        worst = worst_moments(self._song, total, seconds, self._limits.excerpts)
        if worst or not self._song.stems:
            return worst
        stem, levels = self._song.stems[0].name, self._whole.levels["estimate 0"]
        return loud_moments(stem, levels, total, seconds, self._limits.excerpts)

    def _add_excerpt(self, moment: Moment, seconds: float, *, sound: bool) -> bool:
        rate = self._sources.sample_rate
        start, frames = round(moment.start * rate), max(1, round(seconds * rate))
        columns = round(_EXCERPT * len(self._whole.levels["mixture"]))
        view = draw_view(self._sources, start, frames, max(1, columns)).content | {"why": moment.why}
        if sound:
            return self._take(views=view, excerpts=encode_excerpts(self._sources, start, frames))
        return self._take(views=view)

    def _take(self, **more: dict[str, Any]) -> bool:
        """Add to the lists that are named, if there is room for all of it."""
        size = sum(len(as_json(part)) + 1 for part in more.values())
        if size > self._left:
            return False
        self._left -= size
        for name, part in more.items():
            self.parts[name].append(part)
        return True


def _stem(stem: Stem) -> dict[str, Any]:
    return {
        "name": stem.name, "reference": stem.reference is not None, "silences": stem.silences,
        "curves": [_curve(curve) for curve in stem.curves],
    }  # fmt: skip


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "name": curve.name, "unit": curve.unit, "frame": curve.frame_seconds, "better": curve.better,
        "values": [round(v, 3) if v is not None and isfinite(v) else None for v in curve.values],
    }  # fmt: skip
