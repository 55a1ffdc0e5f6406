"""Comparisons for people (tables) and for machines (strict JSON)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from sepkit.evaluation.comparison import CONFIDENCE, FEWEST_SONGS, RESAMPLES, Comparison, Difference, LeftOut, listed
from sepkit.evaluation.saved_scores import SavedScores
from sepkit.evaluation.score import PERFECT
from sepkit.terminal import Column, Table

INTERVAL = (
    f"{CONFIDENCE:.0%} bootstrap interval (expanded percentiles, {RESAMPLES} draws of songs, seed 0) of the mean "
    "difference"
)
# Songs of each direction that a table shows.
MOVED = 3
# Names in a note.
NAMED = 3


def as_data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return all differences as plain values. They are the other score minus the first."""
    return {
        "interval": INTERVAL,
        "first": _source(comparisons[0].first),
        "others": [
            {
                **_source(comparison.other),
                "stems_only_in_first": comparison.only_first,
                "stems_only_here": comparison.only_other,
                "differences": [_column(column) for column in comparison.columns],
            }
            for comparison in comparisons
        ],
    }


def tables(comparisons: Sequence[Comparison]) -> list[Table | str]:
    """Return for each comparison a table of differences, one of the songs that moved most, and what is left out.

    A stem and metric that no song has in both is left out as well.
    """
    parts: list[Table | str] = []
    for comparison in comparisons:
        columns = [column for column in comparison.columns if column.pairs]
        parts += [f"{comparison.other} minus {comparison.first}", _differences(columns)]
        parts += ["Songs that moved most", _moved(columns), *_notes(comparison)]
    few = any(column.pairs and column.interval is None for each in comparisons for column in each.columns)
    return [*parts, f"No interval from fewer than {FEWEST_SONGS} songs"] if few else parts


def _source(scores: SavedScores) -> dict[str, str]:
    return {"file": str(scores.path), "estimate": scores.estimate}


def _column(column: Difference) -> dict[str, Any]:
    return {
        "stem": column.stem,
        "metric": column.metric.name,
        "unit": column.metric.unit,
        "better": column.metric.better,
        "songs": len(column.pairs),
        "mean": column.mean,
        "median": column.median,
        "interval": column.interval,
        "improved": len(column.improved),
        "worsened": len(column.worsened),
        "verdict": column.verdict,
        "tracks": [{**asdict(pair), "difference": pair.difference} for pair in column.pairs],
        "left_out": [asdict(song) for song in column.left_out],
    }


def _differences(columns: Sequence[Difference]) -> Table:
    table = _table("stem", "metric", "mean", f"{CONFIDENCE:.0%} interval", "median", "better", "verdict")
    for column in columns:
        interval = "" if column.interval is None else " to ".join(map(_number, column.interval))
        improved = f"{len(column.improved)}/{len(column.pairs)}"
        name = f"{column.metric.name} {column.metric.unit}"
        table.add(column.stem, name, _number(column.mean), interval, _number(column.median), improved, column.verdict)
    return table


def _moved(columns: Sequence[Difference]) -> Table:
    table = _table("song", "first", "other", "difference", "is")
    for column in columns:
        table.add(f"{column.metric.name} of {column.stem}", "", "", "", "")
        for pairs, text in ((column.improved, "better"), (column.worsened, "worse")):
            for pair in pairs[:MOVED]:
                scores = f"{pair.first:z.2f}", f"{pair.other:z.2f}", _number(pair.difference)
                table.add(pair.track, *scores, text)
        table.end_section()
    return table


def _notes(comparison: Comparison) -> list[str]:
    songs: dict[str, list[str]] = {}
    for column in comparison.columns:
        for song in column.left_out:
            songs.setdefault(_why(song), []).append(song.track)
    notes = []
    for why, tracks in songs.items():
        different = dict.fromkeys(tracks)
        count = "1 score" if len(tracks) == 1 else f"{len(tracks)} scores"
        notes.append(f"left out: {count} of {listed(different, NAMED)}: {why}")
    empty = [f"{column.metric.name} of {column.stem}" for column in comparison.columns if not column.pairs]
    if empty:
        notes.append(f"not shown, as no song has both scores: {listed(empty, NAMED)}")
    for which, stems in (("first", comparison.only_first), ("other", comparison.only_other)):
        notes += [f"not compared, as only the {which} has it: {stem}" for stem in stems]
    return notes


def _why(song: LeftOut) -> str:
    if song.first == song.other:
        return _no_number(song.first, "both")
    return ", ".join(_no_number(why, f"the {n}") for n, why in (("first", song.first), ("other", song.other)) if why)


def _no_number(why: str, where: str) -> str:
    if why == PERFECT:
        return f"perfect in {where}, so there is no difference"
    return f"undefined in {where} ({why.removeprefix('undefined: ')})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+z.2f}"


def _table(*headings: str) -> Table:
    kinds: dict[str, Literal["name", "text"]] = {"stem": "name", "metric": "name", "song": "name"}
    kinds |= {"verdict": "text", "is": "text"}
    return Table([Column(heading, kinds.get(heading, "number")) for heading in headings])
