"""The plain folder corpus: layouts, splits, groups."""

import re
from unicodedata import normalize

import pytest
import soundfile

from sepkit import AudioSpec
from sepkit.datasets.folder import Folder
from sepkit.errors import CorpusError
from sepkit.track import Track
from tests.conftest import write_songs


def names(tracks):
    return [track.name for track in tracks]


def touch(root, *songs):
    for song in songs:
        (root / song).mkdir(parents=True)
        soundfile.write(root / song / "vocals.wav", [0.0] * 10, 8000)
    return root


def test_split_folders_are_taken_as_they_are(tmp_path):
    for split in ("train", "validation", "test"):
        touch(tmp_path / split, f"{split}-song")
    folder = Folder(root=tmp_path)
    assert {split: names(folder.tracks(split)) for split in ("train", "validation", "test")} == {
        "train": ["train-song"], "validation": ["validation-song"], "test": ["test-song"]
    }  # fmt: skip
    assert len(folder.tracks("all")) == 3


def test_without_split_folders_no_group_is_in_two_splits(tmp_path):
    touch(tmp_path, *(f"singer{i}_{j}" for i in range(10) for j in range(3)))
    folder = Folder(root=tmp_path, group="^[^_]+", validation_share=0.2, test=("singer3_*",))
    splits = {split: {t.group for t in folder.tracks(split)} for split in ("train", "validation", "test")}
    assert splits["test"] == {"singer3"}
    assert splits["validation"]
    assert len(splits["validation"]) + len(splits["train"]) == 9
    assert not splits["train"] & splits["validation"]
    assert sum(len(folder.tracks(s)) for s in splits) == 30


def test_a_song_keeps_its_split_when_others_are_added(tmp_path):
    touch(tmp_path, *(f"song{i}" for i in range(60)))
    before = {split: set(names(Folder(root=tmp_path).tracks(split))) for split in ("train", "validation")}
    assert 1 <= len(before["validation"]) <= 15
    touch(tmp_path, *(f"other{i}" for i in range(60)))
    after = {split: set(names(Folder(root=tmp_path).tracks(split))) for split in ("train", "validation")}
    assert all(before[split] <= after[split] for split in before)


def test_two_songs_are_enough_for_both_splits(tmp_path):
    touch(tmp_path, "a", "b")
    for share in (0.001, 0.999):
        folder = Folder(root=tmp_path, validation_share=share)
        assert sorted(names(folder.tracks("train")) + names(folder.tracks("validation"))) == ["a", "b"]
        assert len(folder.tracks("train")) == 1


def test_patterns_choose_the_validation_songs(tmp_path):
    touch(tmp_path, "a_1", "a_2", "b_1")
    folder = Folder(root=tmp_path, group="^[^_]+", validation=("a_1",))
    assert names(folder.tracks("validation")) == ["a_1", "a_2"], "the whole group goes with the song"
    assert names(folder.tracks("train")) == ["b_1"]


def test_a_song_with_and_one_without_a_mixture(tmp_path):
    songs = write_songs(tmp_path, ["x", "y"], ("vocals", "drums"))
    (songs / "y" / "mixture.wav").unlink()
    with_mixture, without = Folder(root=songs).tracks("all")
    assert (with_mixture.mixture, with_mixture.complete) == (songs / "x" / "mixture.wav", False)
    assert (without.mixture, without.complete) == (None, True)
    assert with_mixture.stems == {s: (songs / "x" / f"{s}.wav",) for s in ("vocals", "drums")}


def test_every_format_counts_and_other_files_do_not(tmp_path):
    song = tmp_path / "song"
    song.mkdir()
    for name in ("a.wav", "b.FLAC", "c.mp3", "d.ogg", "e.m4a", "f.CAF", "cover.png", ".hidden.wav", "info.json"):
        (song / name).touch()
    assert set(Folder(root=tmp_path).tracks("all")[0].stems) == {"a", "b", "c", "d", "e", "f"}


def test_names_in_parts_and_in_capitals_are_the_same_names(tmp_path):
    song = tmp_path / normalize("NFD", "노래")
    song.mkdir()
    for name in ("Mixture.wav", normalize("NFD", "보컬.wav"), "Drums.WAV"):
        (song / name).touch()
    (track,) = Folder(root=tmp_path).tracks("all")
    assert track.name == "노래"
    assert track.mixture is not None
    assert set(track.stems) == {"보컬", "drums"}
    assert AudioSpec(sources=(normalize("NFD", "보컬"),)).sources == ("보컬",)


@pytest.mark.parametrize("key", ["validation", "test"])
def test_a_pattern_without_a_song_is_an_error(tmp_path, key):
    touch(tmp_path, "a_1", "b_1")
    with pytest.raises(CorpusError, match=rf'{key} = "c_\*" matches no song.*a_1, b_1'):
        Folder(root=tmp_path, **{key: ("a_*", "c_*")}).tracks("train")


def test_two_files_for_one_stem_are_an_error(tmp_path):
    touch(tmp_path, "song")
    (tmp_path / "song" / "vocals.flac").touch()
    with pytest.raises(CorpusError, match=r"vocals\.flac and vocals\.wav are both vocals"):
        Folder(root=tmp_path).tracks("train")


def test_nothing_there_names_the_folder_and_what_was_expected(tmp_path):
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CorpusError, match=re.escape(str(root)) + r".*<song>/mixture\.wav"):
            Folder(root=root).tracks("train")


def test_a_group_must_be_a_regular_expression():
    with pytest.raises(ValueError, match="not a regular expression"):
        Folder(group="(")


def song(root, *names):
    folder = root / "song"
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.wav").touch()
    (track,) = Folder(root=root).tracks("all")
    return track


FOUR = ("vocals", "drums", "bass", "other")


@pytest.mark.parametrize(
    ("names", "stems", "overlapping"),
    [
        ((*FOUR, "Instrumental"), FOUR, ("instrumental",)),
        ((*FOUR, "no_vocals", "accompaniment"), FOUR, ("accompaniment", "no_vocals")),
        ((*FOUR, "no_drums"), FOUR, ("no_drums",)),
        ((*FOUR, "minus one"), FOUR, ("minus one",)),
        ((*FOUR, normalize("NFD", "반주")), FOUR, ("반주",)),
        ((*FOUR, "MR", "backing-track", "Karaoke"), FOUR, ("mr", "backing-track", "karaoke")),
        (("vocals", "accompaniment"), ("vocals", "accompaniment"), ()),
        (("lead vocals", "backing vocals", "instrumental"), ("lead vocals", "backing vocals", "instrumental"), ()),
        (("보컬", "반주"), ("보컬", "반주"), ()),
        (("instrumental",), ("instrumental",), ()),
        (("vocals", "instrumental", "karaoke"), ("vocals", "instrumental"), ("karaoke",)),
        (("drums", "no_drums"), ("drums", "no_drums"), ()),
        (("vocals", "no_drums"), ("vocals",), ("no_drums",)),
        (("backing vocals", "drums"), ("backing vocals", "drums"), ()),  # a voice, not a backing track
    ],
)
@pytest.mark.parametrize("mixture", [(), ("mixture",), ("Full Mix",)])
def test_a_residual_is_a_stem_only_where_it_holds_no_other(tmp_path, names, stems, overlapping, mixture):
    track = song(tmp_path, *names, *mixture)
    assert set(track.stems) == set(stems)
    assert set(track.overlapping) == set(overlapping)
    assert bool(track.mixture) == bool(mixture)
    assert track.complete == (not mixture)


def test_the_mixture_by_its_other_names_and_two_of_them(tmp_path):
    for number, name in enumerate(("mix", "master", "fullmix", "Mixdown")):
        assert song(tmp_path / str(number), "vocals", name).mixture.stem == name
    track = song(tmp_path / "both", "vocals", "master", "mixture")
    assert (track.mixture.stem, set(track.stems), set(track.overlapping)) == ("mixture", {"vocals"}, {"master"})


def test_what_overlaps_stems_is_said_once_for_all_songs(tmp_path, caplog):
    for name in ("a", "b"):
        touch(tmp_path, name)
        (tmp_path / name / "drums.wav").touch()
        (tmp_path / name / "instrumental.wav").touch()
    Folder(root=tmp_path).tracks("train")
    (record,) = caplog.records
    assert "left out of sums: instrumental (in 2 songs, such as a)" in record.getMessage()


def test_a_song_of_voice_and_residual_may_hold_whatever_stems_other_songs_have(tmp_path):
    """Its instrumental is no accompaniment for drums: there are drums in it. Without a voice it is one for voices."""
    for name, stems in (("a", ("vocals", "drums")), ("b", ("vocals", "instrumental")), ("c", ("instrumental",))):
        for stem in stems:
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{stem}.wav").touch()
    a, b, c = Folder(root=tmp_path).tracks("all")
    assert a.corpus_stems == ("drums", "instrumental", "vocals")
    assert b.corpus_stems == c.corpus_stems == ("instrumental", "vocals")


def test_hidden_folders_are_no_songs_and_linked_ones_are_each_once(tmp_path):
    touch(tmp_path / "songs", "a", ".trash")
    touch(tmp_path / "elsewhere", "b")
    (tmp_path / "songs" / "linked").symlink_to("../elsewhere/b")
    (tmp_path / "songs" / "again").symlink_to(tmp_path / "elsewhere" / "b")
    assert names(Folder(root=tmp_path / "songs").tracks("all")) == ["a", "again"]
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "train").symlink_to(tmp_path / "songs")
    assert names(Folder(root=tmp_path / "root").tracks("all")) == ["a", "again"]


def test_the_former_name_of_the_stems_of_a_corpus_still_works():
    with pytest.deprecated_call(match="corpus_stems"):
        assert Track("a", {}, told_apart=("vocals",)).corpus_stems == ("vocals",)
