"""Datasets that break one promise each. The corpus is `corpus/<split>/<song>.wav`, each song its vocals."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from sepkit import CorpusError, DatasetConfig, Track, hookimpl

SONGS = {"train": [f"song {n}" for n in range(12)], "validation": ["other"], "test": ["last"]}


def write_corpus(folder):
    import numpy as np
    import soundfile

    for split, names in SONGS.items():
        (folder / "corpus" / split).mkdir(parents=True)
        for name in names:
            soundfile.write(folder / "corpus" / split / f"{name}.wav", np.zeros(80), 8000)


class Good(DatasetConfig):
    """A folder of vocals."""

    name: str = "good_dataset"
    root: Path = Path("corpus")
    fails: ClassVar[dict[str, str]] = {}
    options: ClassVar = {"files": write_corpus}

    def tracks(self, split):
        return [self.change(track) for track in self.listed(split)]

    def listed(self, split):
        files = [path for part in (SONGS if split == "all" else [split]) for path in self.root.glob(f"{part}/*.wav")]
        if not files:
            self.fail()
        return [Track(path.stem, {"vocals": (path,)}, path, path.stem) for path in sorted(files)]

    def fail(self):
        raise CorpusError(f"no songs in {self.root}")

    def change(self, track):
        return track


class NothingToValidate(Good):
    """Puts all into training."""

    name: str = "nothing_to_validate"
    fails: ClassVar = {
        "test_the_example_has_tracks_to_train_and_validate_on": '"validation" has 0 tracks',
        "test_a_folder_of_other_things_is_named_in_the_error": 'gives 0 tracks for "validation"',
    }

    def tracks(self, split):
        return super().tracks("all") if split in ("train", "all") else []


class TwoOfAName(Good):
    """Numbers are cut off."""

    name: str = "two_of_a_name"
    fails: ClassVar = {
        "test_names_are_unique": "several tracks are called song",
        "test_no_track_is_in_two_splits": "song",
    }

    def change(self, track):
        return replace(track, name=track.name.split()[0])


class Ghost(Good):
    """Lists a file that is not there."""

    name: str = "ghost"
    fails: ClassVar = {
        "test_every_file_exists": "other: no file corpus/ghost.wav",
        "test_every_file_is_audio": "ghost.wav",
    }

    def change(self, track):
        return replace(track, mixture=Path("corpus/ghost.wav")) if track.name == "other" else track


class Text(Good):
    """A path that is text."""

    name: str = "text"
    fails: ClassVar = {"test_every_file_exists": "is no Path and no Stream", "test_every_file_is_audio": "."}

    def change(self, track):
        return replace(track, mixture=str(track.mixture))


class NoAudio(Good):
    """A file that is no audio."""

    name: str = "no_audio"
    fails: ClassVar = {"test_every_file_is_audio": "song 0: .*notes.wav"}

    def change(self, track):
        path = track.mixture.with_name("notes.wav")
        if track.name == "song 0":
            path.write_text("not audio")
            return replace(track, mixture=path)
        return track

    def listed(self, split):
        return [track for track in super().listed(split) if track.name != "notes"]


class EmptyStem(Good):
    """A stem without a file."""

    name: str = "empty_stem"
    fails: ClassVar = {
        "test_every_stem_has_a_file": 'the stem "drums" must be a tuple of at least one file, not \\(\\)'
    }

    def change(self, track):
        return replace(track, stems={**track.stems, "drums": ()})


class NoStems(Good):
    """A song of no stems."""

    name: str = "no_stems"
    fails: ClassVar = {"test_every_stem_has_a_file": "last has no stems; leave it out"}

    def change(self, track):
        return replace(track, stems={}) if track.name == "last" else track


class Mixture(Good):
    """The mixture as a stem."""

    name: str = "mixture_stem"
    fails: ClassVar = {"test_stem_names_can_be_file_names": '"mixture" is reserved'}

    def change(self, track):
        return replace(track, stems={"mixture": (track.mixture,)})


class Untold(Good):
    """Tells other stems apart than it has."""

    name: str = "untold"
    fails: ClassVar = {"test_corpus_stems_names_every_stem": "corpus_stems lacks vocals"}

    def change(self, track):
        return replace(track, corpus_stems=("drums",))


class NoMixture(Good):
    """Vocals of an unknown song."""

    name: str = "no_mixture"
    fails: ClassVar = {"test_a_mixture_is_known": "no mixture file and is not complete"}

    def change(self, track):
        return replace(track, mixture=None)


class OneSinger(Good):
    """The same singer in all splits."""

    name: str = "one_singer"
    fails: ClassVar = {"test_no_group_is_in_two_splits": "both in train and in validation: singer"}

    def change(self, track):
        return replace(track, group="singer")


class Overlapping(Good):
    """Tests on what it validates on."""

    name: str = "overlapping"
    fails: ClassVar = {
        "test_no_track_is_in_two_splits": "in more than one split: other",
        "test_no_group_is_in_two_splits": "both in validation and in test: other",
    }

    def tracks(self, split):
        return super().tracks(split) + (super().tracks("validation") if split == "test" else [])


class NotAll(Good):
    """Forgets the test songs."""

    name: str = "not_all"
    fails: ClassVar = {"test_all_is_the_union_of_the_splits": 'missing in "all": last'}

    def tracks(self, split):
        return [t for t in super().tracks(split) if split != "all" or t.name != "last"]


class TooMany(Good):
    """A song that is in no split."""

    name: str = "too_many"
    fails: ClassVar = {"test_all_is_the_union_of_the_splits": 'in "all" and in no split: song 0'}

    def tracks(self, split):
        return [t for t in super().tracks(split) if split == "all" or t.name != "song 0"]


class Unordered(Good):
    """The order of a set."""

    name: str = "unordered"
    fails: ClassVar = {"test_order_is_the_same_each_time": "in another order; sort them"}

    def tracks(self, split):
        by_name = {track.name: track for track in super().tracks(split)}
        return [by_name[name] for name in set(by_name)]


class Expensive(Good):
    """Samples in a track."""

    name: str = "expensive"
    fails: ClassVar = {"test_tracks_are_cheap_to_send_to_a_worker": "bytes to send; keep samples out of it"}

    def change(self, track):
        return replace(track, note="0.1 " * 10_000)


class Unsendable(Good):
    """A mapping that cannot be pickled."""

    name: str = "unsendable"
    fails: ClassVar = {"test_tracks_are_cheap_to_send_to_a_worker": "cannot be sent to a worker: TypeError"}

    def change(self, track):
        return replace(track, stems=MappingProxyType(track.stems))


class NoPath(Good):
    """An error that helps nobody."""

    name: str = "no_path"
    fails: ClassVar = {
        "test_a_folder_of_other_things_is_named_in_the_error": "does not name what was tried",
        "test_a_missing_folder_is_named_in_the_error": "does not name what was tried",
    }

    def fail(self):
        raise CorpusError("no songs")


class OtherError(Good):
    """The error of the system, where there is no folder."""

    name: str = "other_error"
    fails: ClassVar = {"test_a_missing_folder_is_named_in_the_error": "raise a CorpusError .* not FileNotFoundError"}

    def listed(self, split):
        list(self.root.iterdir())
        return super().listed(split)


class Silent(Good):
    """No error at all."""

    name: str = "silent"
    fails: ClassVar = {
        "test_a_folder_of_other_things_is_named_in_the_error": 'gives 0 tracks for "train"',
        "test_a_missing_folder_is_named_in_the_error": "no tracks and no error",
    }

    def fail(self):
        pass


ALL = [
    Good, NothingToValidate, TwoOfAName, Ghost, Text, NoAudio, EmptyStem, NoStems, Mixture, Untold, NoMixture,
    OneSinger, Overlapping, NotAll, TooMany, Unordered, Expensive, Unsendable, NoPath, OtherError, Silent,
]  # fmt: skip


@hookimpl
def sepkit_datasets():
    return ALL
