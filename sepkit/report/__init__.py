"""The report: songs, scores and sound on one HTML page that needs only a browser. Knows no model and no metric."""

from sepkit.report.page import write_report
from sepkit.report.section import Section, page_section
from sepkit.report.signal import ArraySignal, FileSignal, Signal
from sepkit.report.song import Curve, Limits, Song, Stem
from sepkit.report.tables import Column, Distribution, Report, Row

__all__ = [
    "ArraySignal",
    "Column",
    "Curve",
    "Distribution",
    "FileSignal",
    "Limits",
    "Report",
    "Row",
    "Section",
    "Signal",
    "Song",
    "Stem",
    "page_section",
    "write_report",
]
