"""What a report says in numbers and words: the table of scores, how they are distributed, what failed, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sepkit.report.section import Section


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers.

    Attributes:
        name: Its heading, such as "model" or "mixture".
        group: What it measures, such as "sdr": the columns of one group are shown together.
        unit: Such as "dB".
        better: Which numbers are the better ones; "" where neither are.
    """

    name: str
    group: str
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The scores of a stem of a track, one for each column; None where undefined, or perfect, which is no number.

    `undefined` says why, one text for each value ("perfect", too), empty where there is one; or it is empty where
    nobody knows why.
    """

    track: str
    stem: str
    values: tuple[float | None, ...]
    undefined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """One score of one stem over all tracks, by each of several estimates, such as the model and the mixture.

    Attributes:
        name: Such as "sdr of vocals".
        unit: Such as "dB".
        tracks: Their names, in the order of the values.
        groups: Name of an estimate -> its value for each track.
    """

    name: str
    unit: str
    tracks: tuple[str, ...]
    groups: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a page shows.

    Attributes:
        title: Its heading.
        facts: Name and text of what has to be known about the numbers: model, metric, frame, aggregation, rate.
        notes: Sentences, such as the guide to the scores.
        columns: Of the table.
        rows: Of the table.
        totals: Its last rows, such as the medians; they stay last.
        distributions: Plots.
        failed: Track and reason.
        cost: Name and text: parameters, real-time factor, peak memory.
        sections: The songs, see `page_section`.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    totals: tuple[Row, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    cost: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
