"""A song of the report, ready for the page: its pictures, and as much of its sound as its share of the page holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sepkit.report.clip import bytes_per_second, hear
from sepkit.report.moments import Moment, loud_moments, worst_moments
from sepkit.report.song import Curve, Limits, Song, Stem
from sepkit.report.sources import Sources
from sepkit.report.spectrogram import ticks
from sepkit.report.view import DIFFERENCE, RANGE, View, look

# Pixels: more than a window shows is of no use.
_COLUMNS = 900
_EXCERPT_COLUMNS = 500
# Seconds: what is shorter tells an ear nothing.
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """A song as JSON. Small, and cheap to hand from one process to another."""

    name: str
    json: str


def page_section(song: Song, limits: Limits) -> Section:
    """Draw and encode a song. Memory does not grow with its length, but for the sound that is in the page.

    Raises:
        AudioError: the signals are not at one rate, or a file cannot be read.
    """
    with Sources(song) as sources:
        whole = look(sources, 0, sources.frames, _COLUMNS)
        facts = {
            "name": song.name, "seconds": sources.frames / sources.sample_rate, "rate": sources.sample_rate,
            "channels": sources.channels, "ticks": ticks(sources.sample_rate), "range": RANGE,
            "difference": DIFFERENCE, "stems": [_stem(stem) for stem in song.stems],
        }  # fmt: skip
        content = {**facts, "whole": whole.content, "clips": [], "excerpts": []}
        room = _Room(limits.section_bytes - len(_json(content)))
        _fill(content, sources, song, whole, limits, room)
    return Section(song.name, _json(content))


class _Room:
    """Bytes that are left."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, part: dict[str, Any]) -> bool:
        """Whether `part` fits; if so, it is counted."""
        size = len(_json(part)) + 2
        if size > self.left:
            return False
        self.left -= size
        return True


def _fill(content: dict[str, Any], sources: Sources, song: Song, whole: View, limits: Limits, room: _Room) -> None:
    """Add the whole song's sound if it fits, and excerpts: with sound of their own, or as parts of that."""
    total, rate = sources.frames / sources.sample_rate, sources.sample_rate
    cost = bytes_per_second(sources)
    complete = False
    if total * cost <= room.left:
        clip = hear(sources, 0, sources.frames)
        if complete := room.take(clip):
            content["clips"].append(clip)
    seconds = min(limits.excerpt_seconds, total)
    if not complete:
        seconds = min(seconds, room.left / cost)
    if seconds < min(total, _SHORTEST) or (complete and total < 2 * seconds):
        return
    for moment in _moments(song, whole, total, seconds, limits.excerpts):
        if not complete and seconds * cost > room.left:
            return
        start, frames = round(moment.start * rate), max(1, round(seconds * rate))
        view = look(sources, start, frames, _EXCERPT_COLUMNS).content | {"why": moment.why}
        clip = {} if complete else hear(sources, start, frames)
        if not room.take(view | clip):
            return
        content["excerpts"].append(view)
        if clip:
            content["clips"].append(clip)


def _moments(song: Song, whole: View, total: float, seconds: float, count: int) -> list[Moment]:
    worst = worst_moments(song, total, seconds, count)
    if worst or not song.stems:
        return worst
    return loud_moments(song.stems[0].name, whole.levels["estimate 0"], total, seconds, count)


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


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
