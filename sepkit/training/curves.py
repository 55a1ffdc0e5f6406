"""The curves of a run, from the rows of its history: losses, SDR of each source, learning rate.

Drawn with matplotlib's objects alone: nothing global is touched, and whatever a source is called, no warning is raised.
The colours are those of Okabe and Ito, which colour-blind people tell apart; in print, shades and markers do.
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
    """Write the curves as a PNG: complete, or what was there before."""
    picture = figure(rows)
    with replacing(path) as temporary:
        picture.savefig(temporary, format="png", dpi=120)


def figure(rows: Rows) -> Figure:
    """Return the curves. A panel of SDR is there if an epoch has one; what an epoch has not measured is a gap."""
    from matplotlib.figure import Figure

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
    for panel in axes:
        _finish(panel, _best(rows))
    _number_epochs(axes[-1], _epochs(rows))
    picture.align_ylabels(axes)
    return picture


def _draw_losses(panel: Axes, rows: Rows) -> None:
    epochs = _epochs(rows)
    training, validation = _column(rows, "train_loss"), _column(rows, "validation_loss")
    lines = {
        "training": _line(panel, epochs, training, _TRAINING, marker="s"),
        "validation": _line(panel, epochs, validation, _VALIDATION, marker="o"),
    }
    best = _best(rows)
    if best is not None:
        lines[f"best: epoch {best}"] = _ring(panel, best, dict(zip(epochs, validation, strict=True))[best])
    skipped = {row["epoch"]: row["skipped"] for row in rows if row.get("skipped")}
    if skipped:
        lines[f"skipped steps: {sum(skipped.values())}"] = _crosses(panel, list(skipped))
    panel.set_ylabel("loss")
    _scale(panel, training + validation)
    _name(panel, lines, columns=len(lines))


def _ring(panel: Axes, epoch: int, value: float) -> Line2D:
    return panel.plot(
        [epoch], [value], color=_BEST, linestyle="",
        marker="o", fillstyle="none", markersize=11, markeredgewidth=1.5, zorder=4,
    )[0]  # fmt: skip


def _crosses(panel: Axes, epochs: Sequence[int]) -> Line2D:
    """Mark epochs along the lower edge, whatever the losses are."""
    return panel.plot(
        epochs, [0.03] * len(epochs), transform=panel.get_xaxis_transform(), color=_SKIPPED, linestyle="",
        marker="x", markersize=5, zorder=3,
    )[0]  # fmt: skip


def _draw_sdr(panel: Axes, rows: Rows, sources: Sequence[str]) -> None:
    lines = {}
    for i, source in enumerate(sources):
        values = [_number((row.get("sdr") or {}).get(source)) for row in rows]
        measured = [(e, value) for e, value in zip(_epochs(rows), values, strict=True) if isfinite(value)]
        lines[source] = _line(
            panel, [epoch for epoch, _ in measured], [value for _, value in measured], _SOURCES[i % len(_SOURCES)],
            marker=_MARKERS[i % len(_MARKERS)], linestyle=_DASHES[i // len(_SOURCES) % len(_DASHES)], markers=12,
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
    """Draw a curve; one of many points has only so many `markers`."""
    return panel.plot(
        epochs, values, color=colour, linewidth=1.6 if len(values) <= _FEW else 1.1, linestyle=linestyle,
        marker=marker, markersize=4.5, markevery=_marked(values, markers), solid_capstyle="round",
    )[0]  # fmt: skip


def _marked(values: Sequence[float], markers: int) -> list[int]:
    """Return the points to mark: all where they are few, else some, and those that no line leads to."""
    if len(values) <= _FEW:
        return list(range(len(values)))
    known = [False, *map(isfinite, values), False]
    alone = {i for i in range(len(values)) if known[i : i + 3] == [False, True, False]}
    return sorted(alone | set(range(0, len(values), len(values) // markers) if markers else ()))


def _scale(panel: Axes, values: Sequence[float]) -> None:
    """Make the axis logarithmic if all values are positive and span a decade."""
    known = [value for value in values if isfinite(value)]
    if known and min(known) > 0 and max(known) >= 10 * min(known):
        panel.set_yscale("log")


def _finish(panel: Axes, best: int | None) -> None:
    if best is not None:
        panel.axvline(best, color="#888888", linewidth=0.8, linestyle=":", zorder=1)
    panel.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _number_epochs(panel: Axes, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = (min(epochs), max(epochs)) if epochs else (1, 1)
    margin = max(0.5, 0.02 * (last - first))
    panel.set_xlim(first - margin, last + margin)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    panel.set_xlabel("epoch")


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
    """Return what is written for `name`, and in which fonts. A letter that no font has becomes its escape."""
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
    """How wide a text is, in letters of the alphabet; others count as two."""
    return sum(1 if letter.isascii() else 2 for letter in text)


def _columns(names: Sequence[str]) -> int:
    """How many names, each behind a piece of its line, stand side by side."""
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
    """What has no number is not drawn."""
    return value if value is not None and isfinite(value) else nan
