"""The curves of a run, from the rows of its history: losses, SDR of each source, learning rate.

Drawn with matplotlib's objects alone: nothing global is changed, and no name of a source raises a warning. The colours
are those of Okabe and Ito, which differ for colour-blind eyes; in print, shades and markers do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepkit.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Rows = Sequence[Mapping[str, Any]]

_TRAINING, _VALIDATION, _RATE, _BEST, _SKIPPED = "#E69F00", "#0072B2", "#333333", "#000000", "#666666"
_SOURCES = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#E69F00", "#0072B2")
_MARKERS = "osD^vPX"
_DASHES = ("-", "--", "-.", ":")
_FEW = 60  # points that are each marked
_LONGEST_NAME = 24  # letters
# Fonts with Chinese, Japanese and Korean, as Linux, macOS and Windows bring them.
_CJK_FONTS = (
    "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans KR", "Source Han Sans KR", "NanumGothic",
    "UnDotum", "Apple SD Gothic Neo", "AppleGothic", "Malgun Gothic", "Hiragino Sans", "PingFang SC", "Yu Gothic",
    "MS Gothic", "Microsoft YaHei", "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip


def draw(rows: Rows, path: Path) -> None:
    """Write the curves as a PNG: complete, or the earlier file stays."""
    with replacing(path) as temporary:
        figure(rows).savefig(temporary, format="png", dpi=120)


def figure(rows: Rows) -> Figure:
    """Return the curves, with a panel of SDR if an epoch has one; an epoch without a value is a gap."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    sources = _measured(rows)
    panels = {"loss": 3.0, **({"sdr": 2.6} if sources else {}), "rate": 1.1}
    lines_of_names = -(-len(sources) // _columns(sources))
    picture = Figure(figsize=(8, 1.2 + sum(panels.values()) + 0.22 * lines_of_names), layout="constrained")
    axes = picture.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=list(panels.values()))[:, 0]
    by_name = dict(zip(panels, axes, strict=True))
    _draw_losses(by_name["loss"], rows)
    if sources:
        _draw_sdr(by_name["sdr"], rows, sources)
    _draw_rate(by_name["rate"], rows)
    best, epochs = _best(rows), _epochs(rows) or [1]
    for panel in axes:
        if best is not None:
            panel.axvline(best, color="#888888", linewidth=0.8, linestyle=":", zorder=1)
        panel.grid(visible=True, color="#DDDDDD", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    margin = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
    axes[-1].set_xlim(epochs[0] - margin, epochs[-1] + margin)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes[-1].set_xlabel("epoch")
    picture.align_ylabels(axes)
    return picture


def _draw_losses(panel: Axes, rows: Rows) -> None:
    epochs, training, validation = _epochs(rows), _column(rows, "train_loss"), _column(rows, "validation_loss")
    lines = {
        "training": _line(panel, epochs, training, _TRAINING, marker="s"),
        "validation": _line(panel, epochs, validation, _VALIDATION, marker="o"),
    }
    best = _best(rows)
    if best is not None:
        lines[f"best: epoch {best}"] = panel.plot(
            [best], [validation[epochs.index(best)]], color=_BEST, linestyle="",
            marker="o", fillstyle="none", markersize=11, markeredgewidth=1.5, zorder=4,
        )[0]  # fmt: skip
    skipped = {row["epoch"]: row["skipped"] for row in rows if row.get("skipped")}
    if skipped:  # along the lower edge
        lines[f"skipped steps: {sum(skipped.values())}"] = panel.plot(
            list(skipped), [0.03] * len(skipped), transform=panel.get_xaxis_transform(), color=_SKIPPED, linestyle="",
            marker="x", markersize=5, zorder=3,
        )[0]  # fmt: skip
    panel.set_ylabel("loss")
    known = [value for value in training + validation if isfinite(value)]
    if known and min(known) > 0 and max(known) >= 10 * min(known):
        panel.set_yscale("log")
    _name(panel, lines, columns=len(lines))


def _draw_sdr(panel: Axes, rows: Rows, sources: Sequence[str]) -> None:
    lines = {}
    for i, source in enumerate(sources):
        values = [_number((row.get("sdr") or {}).get(source)) for row in rows]
        measured = [(epoch, value) for epoch, value in zip(_epochs(rows), values, strict=True) if isfinite(value)]
        epochs, known = zip(*measured, strict=True)
        lines[source] = _line(
            panel, epochs, known, _SOURCES[i % len(_SOURCES)], marker=_MARKERS[i % len(_MARKERS)],
            linestyle=_DASHES[i // len(_SOURCES) % len(_DASHES)], markers=12,
        )  # fmt: skip
    panel.set_ylabel("SDR (dB)")
    _name(panel, lines, columns=_columns(sources))


def _draw_rate(panel: Axes, rows: Rows) -> None:
    rates = _column(rows, "lr")
    highest = max((rate for rate in rates if isfinite(rate)), default=0) or 1
    _line(panel, _epochs(rows), rates, _RATE, marker=".")
    panel.set_ylabel("learning rate")
    panel.set_ylim(0, 1.15 * highest)
    panel.set_yticks([0, highest], ["0", f"{highest:.3g}"])


def _line(
    panel: Axes, epochs: Sequence[int], values: Sequence[float], colour: str,
    *, marker: str, linestyle: str = "-", markers: int = 0,
) -> Line2D:  # fmt: skip
    """Draw a curve; one of many points has about `markers` markers."""
    return panel.plot(
        epochs, values, color=colour, linewidth=1.6 if len(values) <= _FEW else 1.1, linestyle=linestyle,
        marker=marker, markersize=4.5, markevery=_marked(values, markers), solid_capstyle="round",
    )[0]  # fmt: skip


def _marked(values: Sequence[float], markers: int) -> list[int]:
    """Return the points to mark: all of few, some of many, and those without neighbours."""
    if len(values) <= _FEW:
        return list(range(len(values)))
    known = [False, *map(isfinite, values), False]
    alone = {i for i in range(len(values)) if known[i : i + 3] == [False, True, False]}
    return sorted(alone | set(range(0, len(values), len(values) // markers) if markers else ()))


def _name(panel: Axes, lines: Mapping[str, Line2D], columns: int) -> None:
    """Write the legend above the panel, letter by letter: `$` and a leading `_` mean something to matplotlib."""
    legend = panel.legend(
        list(lines.values()), ["-"] * len(lines), ncols=columns, loc="lower left", bbox_to_anchor=(0, 1),
        borderaxespad=0.2, borderpad=0.2, frameon=False, handlelength=2.4,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), lines, strict=True):
        shown, fonts = _lettering(name)
        text.set_parse_math(False)
        text.set_fontfamily(fonts)
        text.set_text(shown)


def _lettering(name: str) -> tuple[str, list[str]]:
    """Return the legend text of `name`, and its fonts. A letter that no font has becomes its escape."""
    from matplotlib import font_manager, rcParams

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families: list[str] = []
    missing = {letter for letter in name if not letter.isascii()}
    for family in [*rcParams["font.family"], *(font for font in _CJK_FONTS if font in installed)]:
        found = _letters(missing, family)
        if found or family in rcParams["font.family"]:
            families.append(family)
        missing -= found
    return _shortened([ascii(letter)[1:-1] if letter in missing else letter for letter in name]), families


def _letters(wanted: set[str], family: str) -> set[str]:
    """Return those of the wanted letters that a font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    if not wanted:
        return set()
    font = get_font(findfont(FontProperties(family=[family])))
    return {letter for letter in wanted if font.get_char_index(ord(letter))}


def _shortened(letters: Sequence[str]) -> str:
    ends = list(accumulate(map(_width, letters)))
    if not ends or ends[-1] <= _LONGEST_NAME:
        return "".join(letters)
    return "".join(letter for letter, end in zip(letters, ends, strict=True) if end <= _LONGEST_NAME - 3) + "..."


def _width(text: str) -> int:
    """Return the width of a text in letters of the alphabet; others count as two."""
    return sum(1 if letter.isascii() else 2 for letter in text)


def _columns(names: Sequence[str]) -> int:
    """Return the number of names, each behind a piece of its line, that fit side by side."""
    widest = max((_width(_lettering(name)[0]) for name in names), default=0)
    return max(1, min(len(names), 100 // (widest + 12)))


def _measured(rows: Rows) -> list[str]:
    """Return the sources that have an SDR in some epoch, in the order in which the rows name them."""
    named = [source for row in rows for source, value in (row.get("sdr") or {}).items() if isfinite(_number(value))]
    return list(dict.fromkeys(named))


def _best(rows: Rows) -> int | None:
    return next((row["epoch"] for row in reversed(rows) if row.get("best")), None)


def _epochs(rows: Rows) -> list[int]:
    return [row["epoch"] for row in rows]


def _column(rows: Rows, key: str) -> list[float]:
    return [_number(row.get(key)) for row in rows]


def _number(value: float | None) -> float:
    """Return NaN, which is not drawn, for a missing value."""
    return value if value is not None and isfinite(value) else nan
