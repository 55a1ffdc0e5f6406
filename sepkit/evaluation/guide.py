"""A guide to scores: a verdict by SDR, which an audible leak limits."""

from collections.abc import Sequence
from math import inf

# Upper limit in dB (not included) -> verdict, for the median over songs of the median over one-second frames.
GUIDE = (
    (0.0, "failed: check the training"),
    (3.0, "poor"),
    (5.0, "fair"),
    (7.0, "good, the first goal, near commercial"),
    (inf, "excellent"),
)


# The SDR in dB from which on a verdict is good, and what it is at most beside a leak.
GOOD = 5.0
CAPPED = "fair"
# The largest medians of `silence_audible` in %, and of `bleed` in dB, that are no leak.
_AUDIBLE = 10.0
_BLEED = -10.0


def verdict(sdr: float, leaks: Sequence[str] = ()) -> str:
    """Return a verdict on an SDR in dB, limited by the leaks that `leak` has found."""
    text = next(text for limit, text in GUIDE if sdr < limit or limit == inf)
    if leaks and sdr >= GOOD:
        text = f"{CAPPED}, although {text} by SDR alone"
    return "; ".join([text, *leaks])


def leak(metric: str, median: float | None) -> str:
    """Return a sentence if the median of a metric is that of an audible leak, else ""."""
    if median is None:
        return ""
    if metric == "silence_audible" and median > _AUDIBLE:
        return f"{median:.0f} % of the silence is audible"
    if metric.startswith("bleed.") and median > _BLEED:
        return f"{metric.removeprefix('bleed.')} bleeds in at {median:.1f} dB"
    return ""


def guide_text() -> str:
    """Return the whole guide in one line."""
    lower = [None, *(limit for limit, _ in GUIDE[:-1])]
    parts = [
        f"below {limit:g} {text}"
        if low is None
        else f"{low:g}+ {text}"
        if limit == inf
        else f"{low:g}-{limit:g} {text}"
        for low, (limit, text) in zip(lower, GUIDE, strict=True)
    ]
    leaks = f"over {_AUDIBLE:g} % of the silence is audible or a source bleeds in above {_BLEED:g} dB"
    ranges = "; ".join([*parts, f"{CAPPED} at most where {leaks}"])
    return f"Guide to SDR in dB, the median over songs of the median over frames of 1 s: {ranges}"
