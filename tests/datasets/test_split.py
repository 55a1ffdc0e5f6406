"""Which songs are for training, validation and test, where names alone decide."""

import pytest

from sepkit.datasets.folder import Folder
from sepkit.datasets.moisesdb import MoisesDB
from sepkit.datasets.musdb import MUSDB18HQ
from sepkit.datasets.slakh2100 import Slakh2100
from sepkit.datasets.split import hashed, split_by_hash, with_validation
from tests.conftest import write_songs
from tests.datasets import trees

NAMES = [f"song {n}" for n in range(200)]


def test_about_the_stated_shares_are_drawn_and_a_name_keeps_its_split_in_any_company():
    found = split_by_hash(NAMES, test=0.2, validation=0.3)
    counts = {split: list(found.values()).count(split) for split in ("train", "validation", "test")}
    assert all(abs(counts[split] / 200 - share) < 0.1 for split, share in (("test", 0.2), ("validation", 0.3)))
    some = split_by_hash(NAMES[::3], test=0.2, validation=0.3)
    assert some == {name: found[name] for name in NAMES[::3]}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_few_songs_one_is_to_validate_on_and_one_to_train_on(count):
    for start in range(0, 200, count):
        names = NAMES[start : start + count]
        found = split_by_hash(names, test=0.0)
        assert set(found.values()) == {"train", "validation"}
        usual = [name for name in names if hashed(name) < 0.1]
        assert [n for n in names if found[n] == "validation"] == (usual or [min(names, key=hashed)])


def test_where_it_is_not_asked_for_or_there_is_one_song_alone_nothing_is_set_aside():
    assert set(split_by_hash(NAMES, test=0.0, validation=0.0).values()) == {"train"}
    assert {split_by_hash([name], test=0.0)[name] for name in NAMES} == {"train"}


def test_an_official_split_keeps_its_songs_to_validate_and_to_test_on():
    for official in ({"a": "train", "b": "validation"}, {"a": "test", "b": "test"}, {"a": "validation"}, {}):
        assert with_validation(official) == official
    assert sorted(with_validation({"a": "train", "b": "train", "c": "test"}).values()) == [
        "test",
        "train",
        "validation",
    ]


@pytest.mark.parametrize("corpus", ["folder", "moisesdb", "musdb18hq", "slakh2100", "babyslakh"])
def test_four_songs_of_any_corpus_are_enough_to_train_and_to_validate(tmp_path, corpus):
    """None of these names is in validation by its hash, or officially."""
    songs = {
        "folder": lambda: Folder(root=write_songs(tmp_path, [f"song {n}" for n in range(4)], ("vocals",), seconds=0.1)),
        "moisesdb": lambda: MoisesDB(root=_moisesdb(tmp_path)),
        "musdb18hq": lambda: MUSDB18HQ(root=trees.musdb18hq(tmp_path, {"train": [f"Band - {n}" for n in range(4)]})),
        "slakh2100": lambda: Slakh2100(root=_slakh(tmp_path, "train/")),
        "babyslakh": lambda: Slakh2100(root=_slakh(tmp_path, "")),
    }[corpus]()
    assert [len(songs.tracks(split)) for split in ("train", "validation", "test", "all")] == [3, 1, 0, 4]


def _moisesdb(root):
    for number in (4, 5, 6, 7):
        folder = root / f"{number:08x}-0000-4000-8000-000000000000"
        trees.moisesdb(folder, [("vocals", [trees.recording(1)])])
    return root


def _slakh(root, folder):
    names = [f"Track{n:05}" for n in range(1, 60) if hashed(f"Track{n:05}") > 0.2]
    for name in names[:4]:
        trees.slakh(root / folder / name, {"S01": trees.midi_stem(0)})
    return root
