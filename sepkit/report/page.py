"""The page as one file: style, code and data in it, and a policy that lets the browser load nothing else.

Data stands in script elements of a type that no browser runs, one for each song, and is parsed when the song is opened.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from sepkit.atomic import write_text
from sepkit.errors import ConfigError
from sepkit.report.section import SongSection, as_json
from sepkit.report.song import Limits
from sepkit.report.tables import PageContent, ScoreRow

# In the order in which they run.
_SCRIPTS = ("elements", "scores", "distributions", "sound", "lanes", "player", "songs", "keys", "report")


def write_report(path: Path, report: PageContent, limits: Limits | None = None) -> None:
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


def page(report: PageContent, limits: Limits) -> str:
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


def _within(sections: tuple[SongSection, ...], room: int) -> list[str]:
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


def _content(report: PageContent, limits: Limits) -> dict[str, Any]:
    return {
        "title": report.title, "facts": report.facts, "notes": report.notes,
        "columns": [asdict(column) for column in report.columns],
        "rows": [_row(row) for row in report.rows], "totals": [_row(row) for row in report.totals],
        "distributions": list(_distributions(report)),
        "failed": report.failed, "cost": report.cost, "songs": [section.name for section in report.sections],
        "megabytes": limits.page_bytes / 1e6,
    }  # fmt: skip


def _row(row: ScoreRow) -> dict[str, Any]:
    return {**asdict(row), "values": [_finite(value) for value in row.values]}


def _distributions(report: PageContent) -> Iterator[dict[str, Any]]:
    """Yield each metric of each stem over all songs, by estimate."""
    stems, metrics = {row.stem: 0 for row in report.rows}, {column.group: 0 for column in report.columns}
    for stem, metric in product(stems, metrics):
        columns = {i: column for i, column in enumerate(report.columns) if column.group == metric}
        rows = [r for r in report.rows if r.stem == stem and any(_finite(r.values[i]) is not None for i in columns)]
        groups = []
        for i, column in columns.items():
            values = [_finite(row.values[i]) for row in rows]
            known = [value for value in values if value is not None]
            quartiles = np.quantile(known, (0.25, 0.5, 0.75)).tolist() if known else None
            groups.append({"label": column.name, "values": values, "quartiles": quartiles})
        if rows:
            unit, tracks = next(iter(columns.values())).unit, [row.track for row in rows]
            yield {"name": f"{metric} of {stem}", "unit": unit, "tracks": tracks, "groups": groups}


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
