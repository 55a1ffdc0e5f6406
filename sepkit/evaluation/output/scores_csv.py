"""`scores.csv`: a row for each song, stem, metric and estimate, for spreadsheets."""

import csv
from io import StringIO

from sepkit.evaluation.evaluate import Evaluation

# What a spreadsheet would take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def scores_csv(evaluation: Evaluation) -> str:
    """Return the scores as CSV with a header; an undefined one is an empty cell, with the reason in the last."""
    text = StringIO()
    table = csv.writer(text)
    table.writerow(("track", "stem", "metric", "unit", "estimate", "score", "undefined"))
    for s in evaluation.scores:
        unit = evaluation.measured_by(s.metric).unit
        score = "" if s.value is None else repr(s.value)
        table.writerow((*map(_plain, (s.track, s.stem, s.metric, unit, s.estimate)), score, s.undefined))
    return text.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
