"""Which references the estimates of a song are scored against: their own, and all else that sounds in it.

The references of a pairing add up to the mixture and do not overlap, as metrics that tell interference from artefacts
need it. A residual overlaps the other stems of the corpus, so it is paired with the stems that it leaves out alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sepkit.arrays import Samples
from sepkit.evaluation.reference import Reference

# What sounds besides the known stems; the space keeps it from being the name of a stem of a corpus.
REST = "all else"
# Below this share of the mixture's energy, what its stems leave of it is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class AvailableStems:
    """What a song is separated into: `sources`, and residuals: the mixture without the stems that each leaves out."""

    sources: tuple[str, ...]
    residuals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all of them."""
        return (*self.sources, *self.residuals)

    def known(self, stems: Collection[str], wanted: Sequence[str] = ()) -> list[str]:
        """Return those of the wanted stems (all, if none is named) that a song with `stems` has a reference for.

        An absent stem is unknown, not silent, and so is a residual that it may hide in.
        """
        known = [source for source in self.sources if source in stems]
        known += [name for name, without in self.residuals.items() if name in stems or set(without) <= set(stems)]
        return [stem for stem in known if stem in wanted or not wanted]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Names of estimated stems, and the references [source, channel, time], those of these stems first.

    `without` are the stems that a residual leaves out of the mixture; empty for other stems.
    """

    stems: tuple[str, ...]
    sources: tuple[str, ...]
    references: Samples
    without: tuple[str, ...] = ()

    def only(self, stems: Sequence[str]) -> Pairing:
        """Return the pairing of some of its stems."""
        if tuple(stems) == self.stems:
            return self
        order = [*map(self.sources.index, stems), *(i for i, name in enumerate(self.sources) if name not in stems)]
        sources = tuple(self.sources[i] for i in order)
        return Pairing(tuple(stems), sources, self.references[order], self.without)

    def called(self, name: str) -> Pairing:
        """Return the pairing of a residual under another name."""
        return Pairing((name,), (name, *self.sources[1:]), self.references, self.without)


def pair(song: Reference, made: AvailableStems, wanted: Sequence[str] = ()) -> list[Pairing]:
    """Return the pairings of those of the wanted stems that the song has references for."""
    known = made.known(song.stems, wanted)
    own = [stem for stem in known if stem in song.stems]
    pairings = []
    if own:
        others = {stem: samples for stem, samples in song.stems.items() if stem not in own}
        pairings.append(_pairing(own, {**{stem: song.stems[stem] for stem in own}, **others, **_rest(song)}))
    for name in known:
        if name not in song.stems:
            without = made.residuals[name]
            stems = {stem: song.stems[stem] for stem in without}
            pairings.append(_pairing([name], {name: song.residual(without), **stems}, without))
    return pairings


def _pairing(stems: Sequence[str], references: dict[str, Samples], without: tuple[str, ...] = ()) -> Pairing:
    return Pairing(tuple(stems), tuple(references), np.stack(list(references.values())), without)


def _rest(song: Reference) -> dict[str, Samples]:
    """What no stem holds. Where the stems are all that sounds, a difference comes from how the mixture was encoded."""
    if song.complete:
        return {}
    rest = song.residual(tuple(song.stems))
    audible = np.vdot(rest, rest) > _ROUNDING * np.vdot(song.mixture, song.mixture)
    return {REST: rest} if audible else {}
