"""Names of a song's files: the mixture, a stem, or a residual, the mixture without some stems."""

from collections.abc import Iterable
from unicodedata import normalize

MIXTURE = "mixture"
_MIXTURES = (MIXTURE, "mix", "full_mix", "fullmix", "mixdown", "master")
# Names of a song without its voice; `no_` and a stem is demucs's name of the song without that stem.
_WITHOUT_VOICE = frozenset((
    "accompaniment", "instrumental", "instrumentals", "inst", "karaoke", "backing", "backing_track", "backing_tracks",
    "minus_one", "minusone", "off_vocal", "mr", "반주", "엠알", "伴奏", "カラオケ",
))  # fmt: skip
_VOICES = frozenset((
    "vocals", "vocal", "voice", "voices", "lead_vocals", "lead_vocal", "backing_vocals", "backing_vocal", "보컬",
))  # fmt: skip
_WITHOUT = ("no_", "minus_", "without_")


def folded(name: str) -> str:
    """Return a name without the variations of tools: `Lead Vocals` and `lead_vocals` are one."""
    return normalize("NFC", name).casefold().replace(" ", "_").replace("-", "_")


def mixtures(names: Iterable[str]) -> list[str]:
    """Return those of the names that are a mixture's, the plainest first."""
    return sorted((name for name in names if folded(name) in _MIXTURES), key=lambda name: _MIXTURES.index(folded(name)))


def left_out(name: str, stems: Iterable[str]) -> tuple[str, ...]:
    """Return the stems of a song that a residual of this name leaves out, under their names in `stems`.

    The song may lack such a stem. Nothing for a name of no residual.
    """
    residual, own = folded(name), {folded(stem): stem for stem in stems}
    if residual in _WITHOUT_VOICE:
        return tuple(own[voice] for voice in own if voice in _VOICES) or ("vocals",)
    for prefix in _WITHOUT:
        if residual.startswith(prefix):
            stem = residual.removeprefix(prefix)
            if stem in _VOICES and stem not in own:
                return left_out("instrumental", stems)
            return (own.get(stem, stem),)
    return ()
