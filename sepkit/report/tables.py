"""All that a page shows: the scores, songs, failures and costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sepkit.report.section import SongSection


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """A column of scores.

    Attributes:
        name: Its heading, the label of an estimate such as "model" or "mixture".
        group: The metric, such as "sdr": the columns of one group are shown together.
        unit: Such as "dB".
        better: The better scores; "" where neither are.
    """

    name: str
    group: str
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The scores of a stem of a song, one for each column; None where undefined, or perfect, which is no number.

    `undefined` holds the reason for each value that is None ("perfect", too) and is empty elsewhere.
    """

    track: str
    stem: str
    values: tuple[float | None, ...]
    undefined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageContent:
    """All that a page shows.

    Attributes:
        title: Its heading.
        facts: Name and text of all that is needed to compare the scores: model, metric, frame, aggregation, rate.
        notes: Sentences, such as the guide to the scores.
        columns: Of the table of scores.
        rows: Of the table of scores; their distribution over songs is plotted as well.
        totals: The last rows of the table, such as the medians.
        failed: Song and reason.
        cost: Name and text: parameters, real-time factor, peak memory.
        sections: The songs, see `page_section`.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[ScoreColumn, ...] = ()
    rows: tuple[ScoreRow, ...] = ()
    totals: tuple[ScoreRow, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    cost: tuple[tuple[str, str], ...] = ()
    sections: tuple[SongSection, ...] = ()
