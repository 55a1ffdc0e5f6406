"""The page as one file: style, code and data in it, and a policy that lets the browser load nothing else.

Data stands in script elements of a type that no browser runs, one for each song, and is parsed when it is looked at.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from hashlib import sha256
from html import escape
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from sepkit.atomic import write_text
from sepkit.errors import ConfigError
from sepkit.report.section import Section, as_json
from sepkit.report.song import Limits
from sepkit.report.tables import Distribution, Report, Row

# In the order in which they run.
_SCRIPTS = ("elements", "scores", "distributions", "sound", "lanes", "player", "songs", "keys", "report")


def write_report(path: Path, report: Report, limits: Limits | None = None) -> None:
    """Write `report` as one HTML file, complete or not at all, of at most `limits.page_bytes` bytes.

    Songs that do not fit are listed without pictures and sound.

    Raises:
        ConfigError: the file cannot be written.
    """
    limits = limits or Limits()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page(report, limits))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}); give another folder") from None


def page(report: Report, limits: Limits) -> str:
    """Return the HTML."""
    style, scripts = _part("report.css"), [_part(f"{name}.js") for name in _SCRIPTS]
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "title": escape(report.title),
        "policy": policy,
        "style": f"<style>{style}</style>",
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "data": _data("report", as_json(_content(report, limits))),
    }
    html = _part("report.html")
    for name, text in parts.items():
        html = html.replace(f"<!--{name}-->", text)
    sections = _within(report.sections, limits.page_bytes - len(html.encode()))
    return html.replace("<!--songs-->", "\n".join(sections))


def _within(sections: tuple[Section, ...], room: int) -> list[str]:
    """Return the sections as HTML; those beyond `room` bytes hold nothing but the name."""
    bare = [_data(f"song-{i}", as_json({"name": section.name})) for i, section in enumerate(sections)]
    room -= sum(len(text.encode()) + 1 for text in bare)
    kept = []
    for i, section in enumerate(sections):
        full = _data(f"song-{i}", section.json)
        more = len(full.encode()) - len(bare[i].encode())
        kept.append(full if more <= room else bare[i])
        room -= more if more <= room else 0
    return kept


def _content(report: Report, limits: Limits) -> dict[str, Any]:
    return {
        "title": report.title, "facts": report.facts, "notes": report.notes,
        "columns": [asdict(column) for column in report.columns],
        "rows": [_row(row) for row in report.rows], "totals": [_row(row) for row in report.totals],
        "distributions": [_distribution(distribution) for distribution in report.distributions],
        "failed": report.failed, "cost": report.cost, "songs": [section.name for section in report.sections],
        "megabytes": limits.page_bytes / 1e6,
    }  # fmt: skip


def _row(row: Row) -> dict[str, Any]:
    return {**asdict(row), "values": [_finite(value) for value in row.values]}


def _distribution(distribution: Distribution) -> dict[str, Any]:
    groups = []
    for label, values in distribution.groups:
        known = [value for value in map(_finite, values) if value is not None]
        quartiles = np.quantile(known, (0.25, 0.5, 0.75)).tolist() if known else None
        groups.append({"label": label, "values": [_finite(value) for value in values], "quartiles": quartiles})
    return {"name": distribution.name, "unit": distribution.unit, "tracks": distribution.tracks, "groups": groups}


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _data(name: str, content: str) -> str:
    """Return JSON as an element that no content can end."""
    content = content.encode("utf-8", "replace").decode().replace("<", "\\u003c")  # names need not be valid text
    return f'<script type="application/json" id="{name}">{content}</script>'


def _part(name: str) -> str:
    return files("sepkit.report").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
