"""The report: songs, scores and sound on one HTML page. It knows no model and no metric."""

from sepkit.report.page import write_report
from sepkit.report.section import SongSection, page_section
from sepkit.report.signal import ArraySignal, FileSignal, Signal
from sepkit.report.song import Curve, Limits, SeparatedSong, Stem
from sepkit.report.tables import PageContent, ScoreColumn, ScoreRow

__all__ = [
    "ArraySignal",
    "Curve",
    "FileSignal",
    "Limits",
    "PageContent",
    "ScoreColumn",
    "ScoreRow",
    "SeparatedSong",
    "Signal",
    "SongSection",
    "Stem",
    "page_section",
    "write_report",
]
