"""The plain folder corpus: `ROOT/[train|validation|test/]<song>/{mixture,<stem>...}.<ext>`."""

import logging
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from pydantic import Field, field_validator

from sepkit.audio.search import walk
from sepkit.component import DatasetConfig
from sepkit.datasets.split import split_by_hash
from sepkit.datasets.stem_names import left_out, mixtures
from sepkit.errors import CorpusError, did_you_mean_path
from sepkit.track import Track

log = logging.getLogger(__name__)


class Folder(DatasetConfig):
    """A folder of songs, each a folder of stems, with or without a mixture.

    Without a mixture file the mixture is the sum of the stems. With one, the residual is the mixture minus the targets.
    Stems are named by their files, in upper or lower case. `instrumental` and the like are a stem beside the voice
    alone: beside drums and bass, which they hold, they are no part of a sum. Songs are in `train`, `validation` and
    `test` folders, or all in one; then they are split by their hash.
    """

    name: Literal["folder"] = "folder"
    root: Path = Field(
        default=Path("data/train"), description="folder of songs, or of the folders train, validation and test"
    )
    group: str = Field(
        default="", description="regular expression on a song's name; songs with the same match stay in one split"
    )
    validation: tuple[str, ...] = Field(default=(), description="patterns (*, ?) of the songs to validate on")
    test: tuple[str, ...] = Field(default=(), description="patterns (*, ?) of the songs to test on")
    without: tuple[str, ...] = Field(
        default=(), description="stems that sound in no song, which can then be accompaniment for others"
    )
    validation_share: float = Field(default=0.1, ge=0, lt=1, description="share of the groups, without a pattern")

    @field_validator("group")
    @classmethod
    def _is_regular_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    def tracks(self, split: str) -> list[Track]:
        """Return the tracks of a split.

        Raises:
            CorpusError: no such folder, no songs in it, or a stem that has two files.
        """
        if not self.root.is_dir():
            raise CorpusError(f"no folder {self.root.resolve()}.{did_you_mean_path(self.root, Path.is_dir)} {LAYOUT}")
        fixed = {name: self._songs(self.root / name) for name in ("train", "validation", "test")}
        if not any(fixed.values()):
            fixed = {"train": self._songs(self.root), "validation": [], "test": []}
        if not any(fixed.values()):
            raise CorpusError(f"no songs in {self.root.resolve()}. {LAYOUT}")
        everything = [track for tracks in fixed.values() for track in tracks]
        self._warn_of_overlaps(everything)
        names = {*self.without, *(stem for track in everything for stem in track.stems)}
        wanted = everything if split == "all" else self._split(fixed)[split]
        return [replace(track, corpus_stems=self._corpus_stems(track, names)) for track in wanted]

    def _warn_of_overlaps(self, tracks: list[Track]) -> None:
        songs = [track for track in tracks if track.overlapping]
        if songs:
            names = ", ".join(sorted({name for track in songs for name in track.overlapping}))
            log.warning(
                "%s: files that hold other stems are left out of sums: %s (in %d songs, such as %s)",
                self.root, names, len(songs), songs[0].name,
            )  # fmt: skip

    def _corpus_stems(self, track: Track, names: set[str]) -> tuple[str, ...]:
        """Of the stems that a song with a residual lacks, only the omitted ones are known not to sound."""
        known = (
            {*self.without, *track.stems, *left_out(stem, names)} for stem in track.stems if left_out(stem, track.stems)
        )
        return tuple(sorted(names.intersection(*known)))

    def _split(self, fixed: dict[str, list[Track]]) -> dict[str, list[Track]]:
        """Take test and validation songs out of the training songs, unless they have folders of their own."""
        train, validation, test = fixed["train"], fixed["validation"], fixed["test"]
        self._check_patterns([*train, *validation, *test])
        if not test:
            train, test = _take(train, _groups_of(train, self.test))
        if not validation:
            train, validation = _take(train, self._validation_groups(train))
        return {"train": train, "validation": validation, "test": test}

    def _check_patterns(self, tracks: list[Track]) -> None:
        """Refuse a pattern without a match: it would put songs into training that are meant to be kept out of it."""
        for key, patterns in (("validation", self.validation), ("test", self.test)):
            for pattern in patterns:
                if not _groups_of(tracks, (pattern,)):
                    songs = ", ".join(track.name for track in tracks[:8])
                    raise CorpusError(f'{key} = "{pattern}" matches no song in {self.root.resolve()}; songs: {songs}')

    def _validation_groups(self, tracks: list[Track]) -> set[str]:
        """Return the groups of the songs that match a pattern, or of the share that their hash decides."""
        if self.validation:
            return _groups_of(tracks, self.validation)
        splits = split_by_hash({t.group for t in tracks}, test=0.0, validation=self.validation_share)
        return {group for group, split in splits.items() if split == "validation"}

    def _songs(self, folder: Path) -> list[Track]:
        """Return the songs right below a folder."""
        songs = (self._song(child, files) for child, files in sorted(walk(folder, 1)) if child != folder)
        return [song for song in songs if song is not None]

    def song(self, folder: Path) -> Track | None:
        """Return the song whose stems lie in `folder`, or None if there are none."""
        return next((self._song(folder, files) for _, files in walk(folder, 0)), None)

    def _song(self, folder: Path, files: list[Path]) -> Track | None:
        """Return the song of its files, sorted by their names.

        A residual is a stem if all other stems are ones that it leaves out. Beside drums and bass, `instrumental` is
        not: it holds them.
        """
        found: dict[str, Path] = {}
        for path in files:
            name = _plain(path.stem).casefold()
            if name in found:
                raise CorpusError(f"{folder}: {found[name].name} and {path.name} are both {name}; keep one")
            found[name] = path
        mixture = next(iter(mixtures(found)), None)
        named = [name for name in found if name not in mixtures(found)]
        stems = [name for name in named if not left_out(name, named)]
        stems += [name for name in named if name not in stems and set(stems) <= set(left_out(name, named))][:1]
        if not stems:
            return None
        return Track(
            _plain(folder.name),
            {name: (path,) for name, path in found.items() if name in stems},
            found[mixture] if mixture else None,
            self._group(_plain(folder.name)),
            complete=mixture is None,
            overlapping={name: (path,) for name, path in found.items() if name not in (*stems, mixture)},
        )

    def _group(self, song: str) -> str:
        match = re.search(self.group, song) if self.group else None
        return match.group() if match else song


def song_in(folder: Path) -> Track:
    """Return the one song whose stems lie in `folder`.

    Raises:
        CorpusError: no such folder, or no stems in it.
    """
    if not folder.is_dir():
        raise CorpusError(
            f"no folder {folder.resolve()}.{did_you_mean_path(folder, Path.is_dir)} "
            "A song is a folder of stems, such as vocals.wav and mixture.wav"
        )
    track = Folder().song(folder)
    if track is None:
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise CorpusError(f"no stems in {folder.resolve()}; found {found}. A song has files such as vocals.wav")
    return track


LAYOUT = (
    "Expected <song>/mixture.wav and <song>/<stem>.wav in it (or all stems and no mixture), "
    "optionally under train/, validation/ and test/"
)


def _plain(name: str) -> str:
    """Return one spelling of a name: some systems store accents and Korean letters in parts (NFD)."""
    return normalize("NFC", name)


def _groups_of(tracks: list[Track], patterns: tuple[str, ...]) -> set[str]:
    return {t.group for t in tracks if any(fnmatchcase(t.name, _plain(p)) for p in patterns)}


def _take(tracks: list[Track], groups: set[str]) -> tuple[list[Track], list[Track]]:
    """Return the tracks outside and inside `groups`."""
    return [t for t in tracks if t.group not in groups], [t for t in tracks if t.group in groups]
