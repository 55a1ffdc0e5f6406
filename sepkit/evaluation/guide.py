"""What a score in dB SDR means to a person who trains a separator."""

from math import inf

# Upper limit in dB (not included) -> verdict, for the median over songs of the median over one-second frames.
GUIDE = (
    (0.0, "failed: check the training"),
    (3.0, "poor"),
    (5.0, "fair"),
    (7.0, "good, the first goal, near commercial"),
    (inf, "excellent"),
)


def verdict(sdr: float) -> str:
    """Return what an SDR in dB amounts to."""
    return next(text for limit, text in GUIDE if sdr < limit or limit == inf)


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
    return f"Guide to SDR in dB, the median over songs of the median over frames of 1 s: {'; '.join(parts)}"
