"""The references that estimates of a song are scored against: their own, and everything else in the mixture.

The references of a pairing add up to the mixture and do not overlap, as metrics need that separate interference from
artefacts. A residual overlaps other stems of the corpus, so it is paired with the stems that it leaves out alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sepkit.arrays import Samples
from sepkit.evaluation.reference import Reference

RESIDUAL = "song residual"
"""The name of the mixture minus all its stems. The space keeps it from being the name of a stem of a corpus."""
# Below this share of the mixture's energy, that residual is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class AvailableStems:
    """The estimates of a song: of `sources`, and of residuals: the mixture minus the stems that each leaves out."""

    sources: tuple[str, ...]
    residuals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all of them."""
        return (*self.sources, *self.residuals)

    def known(self, stems: Collection[str], wanted: Sequence[str] = ()) -> list[str]:
        """Return those of the wanted stems (all, if none is named) that a song with `stems` has a reference for.

        An absent stem is unknown, not silent, and so is a residual that may contain it.
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


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates [source, channel, time] of the stems of a pairing, under the label of their estimator."""

    label: str
    pairing: Pairing
    samples: Samples

    def called(self, name: str) -> Estimates:
        """Return the estimate of a residual under another name."""
        pairing = replace(self.pairing, stems=(name,), sources=(name, *self.pairing.sources[1:]))
        return replace(self, pairing=pairing)


def pair(song: Reference, available: AvailableStems, wanted: Sequence[str] = ()) -> list[Pairing]:
    """Return the pairings of those of the wanted stems that the song has references for."""
    known = available.known(song.stems, wanted)
    pairings = []
    if own := {stem: song.stems[stem] for stem in known if stem in song.stems}:
        pairings.append(_pairing([*own], {**own, **song.stems, **_residual(song)}))
    for name in known:
        if name not in song.stems:
            without = available.residuals[name]
            stems = {stem: song.stems[stem] for stem in without}
            pairings.append(_pairing([name], {name: song.residual(without), **stems}, without))
    return pairings


def _pairing(stems: Sequence[str], references: dict[str, Samples], without: tuple[str, ...] = ()) -> Pairing:
    return Pairing(tuple(stems), tuple(references), np.stack(list(references.values())), without)


def _residual(song: Reference) -> dict[str, Samples]:
    """Return the mixture minus all stems, if it is audible and not the difference that an encoded mixture has."""
    if song.complete:
        return {}
    residual = song.residual(tuple(song.stems))
    audible = np.vdot(residual, residual) > _ROUNDING * np.vdot(song.mixture, song.mixture)
    return {RESIDUAL: residual} if audible else {}
