"""The promises of a dataset: tracks that training can rely on, in the same order and the same splits each time."""

import subprocess
import sys
from collections import Counter
from multiprocessing.reduction import ForkingPickler
from os import environ
from pathlib import Path
from typing import ClassVar

import pytest

from sepkit.audio.probe import probe
from sepkit.component import DatasetConfig, check_stem_name
from sepkit.errors import AudioError, CorpusError, reason
from sepkit.processes import child_environment
from sepkit.testing.promises import Promises
from sepkit.track import AudioFile, Stream, Track

SPLITS = ("train", "validation", "test")
_ENOUGH = {"train": 2, "validation": 1}
# Bytes of a track with few files, whose paths may be long; samples would take far more.
_CHEAP = 20_000


class DatasetPromises(Promises):
    """The suite of a dataset."""

    component: ClassVar[DatasetConfig]

    @staticmethod
    def files(folder: Path) -> object:
        """Write the example; by default there is none, as the dataset finds its files elsewhere, or makes them."""

    @pytest.fixture(autouse=True)
    def _in_the_example(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write the example, and work in its folder."""
        folder = tmp_path / "example"
        folder.mkdir()
        monkeypatch.setenv("SEPKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(folder)
        self.files(folder)

    def test_the_example_has_tracks_to_train_and_validate_on(self) -> None:
        """Without them the other tests would look at nothing."""
        for split, least in _ENOUGH.items():
            found = len(self.component.tracks(split))
            assert found >= least, f'the split "{split}" has {found} tracks; write an example with at least {least}'

    def test_names_are_unique(self) -> None:
        """Reports and folders of stems are named by them."""
        twice = [name for name, count in Counter(t.name for t in self._all()).items() if count > 1]
        assert not twice, f"several tracks are called {', '.join(twice)}"

    def test_every_file_exists(self) -> None:
        """Stems and mixtures, each of them a Path or a Stream of one."""
        for track, file in self._files():
            assert isinstance(file, Path | Stream), f"{track.name}: {file!r} is no Path and no Stream"
            path = file.path if isinstance(file, Stream) else file
            assert path.is_file(), f"{track.name}: no file {path}"

    def test_every_file_is_audio(self) -> None:
        """Its header can be read here."""
        for track, file in self._files():
            try:
                probe(file)
            except AudioError as error:
                pytest.fail(f"{track.name}: {error}")

    def test_every_stem_has_a_file(self) -> None:
        """A stem that a song lacks is no key: absent, which is not silent."""
        for track in self._all():
            assert track.stems, f"{track.name} has no stems; leave it out"
            for stem, files in track.stems.items():
                assert isinstance(files, tuple) and files, (  # noqa: PT018
                    f'{track.name}: the stem "{stem}" must be a tuple of at least one file, not {files!r}'
                )

    def test_stem_names_can_be_file_names(self) -> None:
        """Stems are written under their names; "mixture" and "rest" are taken."""
        for track in self._all():
            for name in (*track.stems, *track.corpus_stems):
                try:
                    check_stem_name(name)
                except ValueError as error:
                    pytest.fail(f"{track.name}: {error}")

    def test_corpus_stems_names_every_stem(self) -> None:
        """If it names the stems of the corpus, it names all that there are."""
        for track in self._all():
            unnamed = sorted(set(track.stems) - set(track.corpus_stems)) if track.corpus_stems else []
            assert not unnamed, f"{track.name}: corpus_stems lacks {', '.join(unnamed)}"

    def test_a_mixture_is_known(self) -> None:
        """It has a file, or it is the sum of the stems, and then they are all that sounds."""
        for track in self._all():
            assert track.mixture or track.complete, f"{track.name} has no mixture file and is not complete"

    def test_no_group_is_in_two_splits(self) -> None:
        """A singer who is trained on must not be validated on."""
        groups = {split: {t.group or t.name for t in self.component.tracks(split)} for split in SPLITS}
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            both = sorted(groups[first] & groups[second])
            assert not both, f"both in {first} and in {second}: {', '.join(both)}"

    def test_no_track_is_in_two_splits(self) -> None:
        """Nor in one split twice."""
        twice = [
            n for n, count in Counter(t.name for s in SPLITS for t in self.component.tracks(s)).items() if count > 1
        ]
        assert not twice, f"in more than one split: {', '.join(twice)}"

    def test_all_is_the_union_of_the_splits(self) -> None:
        """The split "all" lists the tracks of the three others."""
        parts = {track.name for split in SPLITS for track in self.component.tracks(split)}
        whole = {track.name for track in self._all()}
        assert parts <= whole, f'missing in "all": {", ".join(sorted(parts - whole))}'
        assert whole <= parts, f'in "all" and in no split: {", ".join(sorted(whole - parts))}'

    def test_order_is_the_same_each_time(self) -> None:
        """In this process and in others, whatever their hash seed: a run can be repeated."""
        expected = [track.name for track in self._all()]
        assert [track.name for track in self._all()] == expected, "the order of the tracks differs the second time"
        assert self._listed_elsewhere() == expected, (
            "another process lists the tracks in another order; sort them, and iterate over no set"
        )

    def test_tracks_are_cheap_to_send_to_a_worker(self) -> None:
        """Paths and numbers only: no samples, no open files."""
        for track in self._all():
            try:
                sent = ForkingPickler.dumps(track)
            except Exception as error:  # what cannot be pickled fails in many ways
                raise AssertionError(f"{track.name} cannot be sent to a worker: {reason(error)}") from error
            assert ForkingPickler.loads(sent) == track, f"{track.name}: a worker gets another track"
            assert len(sent) <= _CHEAP, f"{track.name} takes {len(sent)} bytes to send; keep samples out of it"

    def test_a_folder_of_other_things_is_named_in_the_error(self, tmp_path: Path) -> None:
        """A CorpusError with the path that was tried, for every split."""
        moved, tried = self._moved(tmp_path / "elsewhere")
        for path in tried:
            path.mkdir(parents=True)
            (path / "notes.txt").write_text("no corpus", encoding="utf-8")
        for split in (*SPLITS, "all"):
            found = _tracks_or_names(moved, split, tried)
            assert found is None, f'a folder that holds something else gives {len(found)} tracks for "{split}"'

    def test_a_missing_folder_is_named_in_the_error(self, tmp_path: Path) -> None:
        """A CorpusError with the path that was tried, unless the dataset makes its songs itself."""
        moved, tried = self._moved(tmp_path / "missing")
        found = _tracks_or_names(moved, "train", tried)
        assert found is None or found, "a folder that does not exist gives no tracks and no error"

    def _all(self) -> list[Track]:
        return self.component.tracks("all")

    def _files(self) -> list[tuple[Track, AudioFile]]:
        """Return every file of every track."""
        stems = [(track, file) for track in self._all() for files in track.stems.values() for file in files]
        return stems + [(track, track.mixture) for track in self._all() if track.mixture]

    def _moved(self, to: Path) -> tuple[DatasetConfig, list[Path]]:
        """Return the dataset with its folders below `to`, and these folders."""
        folders = {n: v for n, v in self.component if isinstance(v, Path | str) and str(v) and Path(v).is_dir()}
        if not folders:
            pytest.skip("no setting is a folder, so there is none that could be wrong")
        tried = {name: to / Path(value).name for name, value in folders.items()}
        update = {name: type(folders[name])(path) for name, path in tried.items()}
        return self.component.model_copy(update=update), list(tried.values())

    def _listed_elsewhere(self) -> list[str]:
        """Return the names of all tracks as a process of another hash seed lists them."""
        kind = type(self.component)
        code = (
            f"import sys; from {kind.__module__} import {kind.__qualname__.split('.')[0]}; "
            f"tracks = {kind.__qualname__}.model_validate_json(sys.argv[1]).tracks('all'); "
            "print(*[track.name for track in tracks], sep='\\0', end='')"
        )
        env = child_environment(PYTHONHASHSEED="2" if environ.get("PYTHONHASHSEED") == "1" else "1")
        command = [sys.executable, "-c", code, self.component.model_dump_json()]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
        assert done.returncode == 0, f"another process cannot list the tracks: {done.stderr.strip()}"
        return done.stdout.split("\0")


def _tracks_or_names(dataset: DatasetConfig, split: str, tried: list[Path]) -> list[Track] | None:
    """Return the tracks, or None where the right error names a path that was tried."""
    try:
        return dataset.tracks(split)
    except CorpusError as error:
        said = str(error)
    except Exception as error:  # datasets may raise anything
        raise AssertionError(f"raise a CorpusError with the path that was tried, not {reason(error)}") from error
    assert any(str(path) in said for path in tried), f"the error does not name what was tried, {tried[0]}: {said}"
    return None
