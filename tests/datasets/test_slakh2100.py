"""Slakh2100 and BabySlakh: official splits, stems by program, and music without vocals beside a corpus with them."""

import json
import os
import re
from itertools import chain, islice

import numpy as np
import pytest
import yaml

from sepkit import config as configs
from sepkit.component import AudioSpec
from sepkit.data.loader import Data
from sepkit.data.song import RESIDUAL, songs_of
from sepkit.datasets.official import facts_of
from sepkit.datasets.slakh2100 import Slakh2100
from sepkit.errors import CorpusError
from sepkit.evaluation.reference import load
from tests.datasets import trees
from tests.datasets.trees import BAND, level, midi_stem

FACTS = facts_of("slakh2100")
SPLITS = ("train", "validation", "test")
ALL = range(1, 2101)


def track(number):
    return f"Track{number:05}"


def names(tracks):
    return [one.name for one in tracks]


def official(number):
    """The split by the number alone."""
    return "train" if number <= 1500 else "validation" if number <= 1875 else "test"


def folders(numbers=ALL):
    """The names of songs in the folders of the original splits."""
    return {split: [track(number) for number in numbers if official(number) == split] for split in SPLITS}


def only(root, **settings):
    """The one song of a tree."""
    (song,) = Slakh2100(root=root, **settings).tracks("all")
    return song


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """As many songs as the corpus has, all of the same files."""
    folder = tmp_path_factory.mktemp("slakh")
    song = trees.slakh(folder / "song", {"S01": midi_stem(128, is_drum=True)})
    return trees.links(folder / "corpus", folders(), song)


def test_the_packaged_lists_are_the_published_ones(real_audio):
    redux, split2 = (
        json.loads((real_audio / "corpora" / "slakh" / name).read_text()) for name in ("redux.json", "splits_v2.json")
    )
    assert len(redux) == len(split2) == 2100
    omitted = [int(name[5:]) for name, row in redux.items() if row["action"] == "omit"]
    assert sorted(omitted) == FACTS["redux_omits"]
    moved = {split: [] for split in SPLITS}
    for name, row in split2.items():
        if row["action"] == "move":
            assert row["source_split"] == official(int(name[5:]))
            moved[row["destination_split"]].append(int(name[5:]))
    assert {split: sorted(numbers) for split, numbers in moved.items()} == FACTS["split2_moves"]


def test_the_packaged_lists_count_what_is_published():
    kept = [official(number) for number in ALL if number not in FACTS["redux_omits"]]
    assert len(FACTS["redux_omits"]) == len(set(FACTS["redux_omits"])) == 390
    assert {split: kept.count(split) for split in SPLITS} == {"train": 1289, "validation": 270, "test": 151}
    moved = [number for numbers in FACTS["split2_moves"].values() for number in numbers]
    assert len(moved) == len(set(moved)) == 328
    assert all(official(number) != split for split, numbers in FACTS["split2_moves"].items() for number in numbers)


SIZES = {
    "redux": {"train": 1289, "validation": 270, "test": 151},
    "orig": {"train": 1500, "validation": 375, "test": 225},
    "split2": {
        split: sum(official(n) == split for n in ALL)
        - sum(official(n) == split for moved in FACTS["split2_moves"].values() for n in moved)
        + len(FACTS["split2_moves"][split])
        for split in SPLITS
    },
}


@pytest.mark.parametrize("splits", ["redux", "orig", "split2"])
def test_the_official_splits_of_the_whole_corpus(corpus, splits):
    slakh = Slakh2100(root=corpus, splits=splits)
    found = {split: names(slakh.tracks(split)) for split in SPLITS}
    assert {split: len(songs) for split, songs in found.items()} == SIZES[splits]
    everything = [name for songs in found.values() for name in songs]
    assert len(everything) == len(set(everything)) == (1710 if splits == "redux" else 2100)
    assert sorted(everything) == sorted(names(slakh.tracks("all")))
    moves = FACTS["split2_moves"] if splits == "split2" else {}
    new = {number: split for split, numbers in moves.items() for number in numbers}
    for split, songs in found.items():
        assert all(new.get(int(name[5:]), official(int(name[5:]))) == split for name in songs)


def test_redux_is_the_default(corpus):
    assert Slakh2100(root=corpus).splits == "redux"


@pytest.mark.parametrize(
    ("number", "splits", "split"),
    [
        (1, "redux", "train"), (1500, "redux", "train"), (1501, "redux", "validation"), (1875, "redux", "validation"),
        (1876, "redux", "test"), (2098, "redux", "test"), (1499, "orig", "train"), (1506, "orig", "validation"),
        (2100, "orig", "test"), (3, "split2", "test"), (26, "split2", "validation"), (1506, "split2", "train"),
        (2100, "split2", "train"), (1890, "split2", "validation"), (1510, "split2", "test"), (1, "split2", "train"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["train", "test"])
def test_the_number_of_a_song_says_its_split_whatever_folder_it_is_in(tmp_path, number, splits, split, folder):
    trees.slakh(tmp_path / folder / track(number), {"S01": midi_stem(0)})
    slakh = Slakh2100(root=tmp_path, splits=splits)
    assert {name: len(slakh.tracks(name)) for name in SPLITS} == {name: int(name == split) for name in SPLITS}


def test_omitted_songs_are_used_only_by_splits_that_have_them(tmp_path):
    for folder, number in (("train", 1), ("omitted", 49), ("omitted", 1506), ("test", 2100)):
        trees.slakh(tmp_path / folder / track(number), {"S01": midi_stem(0)})
    by_splits = {
        splits: {split: names(Slakh2100(root=tmp_path, splits=splits).tracks(split)) for split in (*SPLITS, "all")}
        for splits in ("redux", "orig", "split2")
    }
    one, two, three, four = map(track, (1, 49, 1506, 2100))
    assert by_splits["redux"] == {"train": [one], "validation": [], "test": [], "all": [one]}
    assert by_splits["orig"] == {
        "train": [one, two], "validation": [three], "test": [four], "all": [one, two, three, four]
    }  # fmt: skip
    assert sorted(by_splits["split2"]["train"] + by_splits["split2"]["validation"]) == [one, two, three, four]
    assert len(by_splits["split2"]["validation"]) == 1  # officially all four are in train: one is to validate on


def test_songs_of_babyslakh_are_split_by_their_names(tmp_path):
    song = trees.slakh(tmp_path / "song", BAND, ending="wav", rate=16000)
    numbers = [number for number in range(1, 101) if number not in FACTS["redux_omits"]]
    trees.links(tmp_path, {"baby": map(track, numbers)}, song)
    baby = Slakh2100(root=tmp_path / "baby")
    found = {split: names(baby.tracks(split)) for split in SPLITS}
    assert found["test"] == [track(n) for n in (15, 95, 99)]
    assert found["validation"] == [track(n) for n in (2, 5, 6, 19, 27, 32, 39, 43, 55, 66, 75, 84, 89, 98)]
    assert sorted(chain(*found.values())) == names(baby.tracks("all")) == list(map(track, numbers))
    first = baby.tracks("all")[0]
    assert first.mixture == tmp_path / "baby" / "Track00001" / "mix.wav"
    assert first.stems["drums"] == (tmp_path / "baby" / "Track00001" / "stems" / "S01.wav",)


@pytest.mark.parametrize("ending", ["flac", "wav"])
def test_stems_are_the_sums_of_their_files(tmp_path, ending):
    stems = BAND | {"S05": midi_stem(32), "S06": midi_stem(52)}
    trees.slakh(tmp_path / "train" / "Track00001", stems, ending=ending, rate=44100, frames=100)
    song = only(tmp_path)
    assert song.mixture.name == f"mix.{ending}"
    reference = load(song)
    assert reference.mixture.shape == (1, 100)
    expected = {"drums": 0.01, "bass": 0.02 + 0.05, "other": 0.03 + 0.04 + 0.06}
    assert set(reference.stems) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(reference.stems[name], value, atol=1e-4)
    audio = AudioSpec(44100, 1, ("drums", "bass"))
    (prepared,) = songs_of([(0, song)], audio)
    read = {name: prepared.part(name).read(audio, 0, 100) for name in prepared.parts}
    for name, value in {"drums": 0.01, "bass": 0.07, RESIDUAL: 0.13}.items():
        np.testing.assert_allclose(read[name], value, atol=1e-4)


PROGRAMS = [
    (0, "piano"), (7, "piano"), (8, "other"), (23, "other"), (24, "guitar"), (31, "guitar"), (32, "bass"), (39, "bass"),
    (40, "other"), (52, "other"), (127, "other"), (128, "drums"),
]  # fmt: skip


@pytest.mark.parametrize("stems", [4, 5, 6])
@pytest.mark.parametrize(("program", "stem"), PROGRAMS)
def test_a_program_says_the_stem(tmp_path, program, stem, stems):
    trees.slakh(tmp_path / "train" / "Track00001", {"S01": midi_stem(program)})
    apart = {4: ("drums", "bass"), 5: ("drums", "bass", "guitar"), 6: ("drums", "bass", "guitar", "piano")}
    assert set(only(tmp_path, stems=stems).stems) == {stem if stem in apart[stems] else "other"}


@pytest.mark.parametrize("program", [0, 24, 33, 118, 128])
def test_drums_are_drums_whatever_their_program(tmp_path, program):
    trees.slakh(tmp_path / "train" / "Track00001", {"S01": midi_stem(program, is_drum=True)})
    assert set(only(tmp_path, stems=6).stems) == {"drums"}


def test_every_program_has_a_stem_and_none_is_vocals(tmp_path):
    stems = {f"S{program:03}": midi_stem(program) for program in range(129)}
    folder = trees.slakh(tmp_path / "train" / "Track00001", BAND)
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"stems": stems}))
    for file in (folder / "stems").iterdir():
        file.unlink()
    sound = level(tmp_path / "sound.flac")
    for name in stems:
        (folder / "stems" / f"{name}.flac").symlink_to(sound)
    sizes = {stem: len(files) for stem, files in only(tmp_path, stems=6).stems.items()}
    assert sizes == {"piano": 8, "guitar": 8, "bass": 8, "drums": 1, "other": 104}


def test_files_count_and_flags_do_not(tmp_path):
    stems = {
        "S01": midi_stem(33, rendered=False), "S02": midi_stem(33), "S03": midi_stem(0, rendered=False, plugin="None"),
        "S04": midi_stem(34, plugin="None"),
    }  # fmt: skip
    folder = trees.slakh(tmp_path / "train" / "Track00616", stems, audio_dir="Track00001/elsewhere")
    assert "plugin_name: None\n" in (folder / "metadata.yaml").read_text(), "as in the corpus: no null, but a string"
    (folder / "stems" / "S02.flac").unlink()
    (folder / "stems" / "S03.flac").unlink()
    level(folder / "stems" / "S09.flac", 0.09)
    song = only(tmp_path)
    assert {stem: [file.name for file in files] for stem, files in song.stems.items()} == {
        "bass": ["S01.flac", "S04.flac"], "other": ["S09.flac"]
    }  # fmt: skip
    np.testing.assert_allclose(load(song).stems["bass"], 0.01 + 0.04, atol=1e-4)


def test_hidden_and_other_files_are_no_stems(tmp_path):
    folder = trees.slakh(tmp_path / "train" / "Track00001", BAND)
    for name in ("._S01.flac", "S01.mid", ".DS_Store", "S05.txt"):
        (folder / "stems" / name).write_text("resource fork")
    (tmp_path / "train" / "._Track00002").mkdir()
    (tmp_path / "train" / "Track2").mkdir()
    (tmp_path / "readme.txt").write_text("2100 songs")
    assert sum(map(len, only(tmp_path).stems.values())) == 4


def test_a_stem_in_two_formats_is_an_error(tmp_path):
    """Both summed would be a stem of twice its level."""
    folder = trees.slakh(tmp_path / "train" / "Track00001", BAND)
    level(folder / "stems" / "S02.wav", 0.02)
    with pytest.raises(CorpusError, match=rf"{re.escape(str(folder))}.*S02\.flac and S02\.wav.*keep one"):
        Slakh2100(root=tmp_path).tracks("train")


@pytest.mark.parametrize("number", [446, 487, 590, 1009, 1672, 1740, 1794])
def test_songs_that_are_known_to_lack_a_stem_are_noted(tmp_path, number):
    for n in (number, number + 1):
        trees.slakh(tmp_path / "train" / track(n), {"S01": midi_stem(0)})
    noted, other = Slakh2100(root=tmp_path, splits="orig").tracks("all")
    assert (noted.name, noted.note) == (track(number), "the audio of S00 is missing from the corpus")
    assert other.note == ""


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1, 2]", b"stems: 3", b"stems:", b"stems: {S01: {is_drum: false}}", b"stems: {S01: 7}", b"a: b: c",
        b"stems: {S01: {is_drum: false, program_num: x}}", b"stems: {S01: {is_drum: no, program_num: }}", b"\xff\xfe",
    ],
)  # fmt: skip
def test_broken_metadata_are_named(tmp_path, content):
    good, *broken = (trees.slakh(tmp_path / "train" / track(number), BAND) for number in (1, 2, 3))
    for folder in broken:
        (folder / "metadata.yaml").write_bytes(content)
    with pytest.raises(CorpusError) as raised:
        Slakh2100(root=tmp_path).tracks("all")
    for folder in broken:
        assert f"{folder / 'metadata.yaml'}: not the metadata of a song of Slakh2100" in str(raised.value)
    assert str(good) not in str(raised.value)


@pytest.mark.parametrize("same", ["size", "time"])
def test_changed_metadata_are_seen(tmp_path, same):
    folder = trees.slakh(tmp_path / "train" / "Track00001", {"S01": midi_stem(33)})
    path = folder / "metadata.yaml"
    before = path.stat()
    assert set(only(tmp_path).stems) == set(only(tmp_path).stems) == {"bass"}
    changed = path.read_text().replace("program_num: 33", "program_num: 99" if same == "size" else "program_num: 128")
    path.write_text(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (10**9 if same == "size" else 0)))
    after = path.stat()
    assert (after.st_size == before.st_size) == (same == "size")
    assert set(only(tmp_path).stems) == {"other" if same == "size" else "drums"}


def test_metadata_are_read_once(tmp_path, monkeypatch):
    trees.slakh(tmp_path / "train" / "Track00001", BAND)
    first = only(tmp_path)
    monkeypatch.setattr(yaml, "load", lambda *_, **__: pytest.fail("read again"))
    assert only(tmp_path) == first


@pytest.mark.parametrize("made", ["", "corpus", "corpus/train", "corpus/extra/train/Track00001", "corpus/train/Song 1"])
def test_nothing_there_names_the_folder_and_what_was_expected(tmp_path, made):
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    for split in (*SPLITS, "all"):
        with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'corpus'}. Expected train/Track00001/")):
            Slakh2100(root=tmp_path / "corpus").tracks(split)


def test_a_song_without_metadata_or_stems_is_left_out_with_a_warning(tmp_path, caplog):
    for number in (1, 2, 3):
        trees.slakh(tmp_path / "train" / track(number), BAND)
    (tmp_path / "train" / "Track00002" / "metadata.yaml").unlink()
    (tmp_path / "train" / "Track00003" / "stems").rename(tmp_path / "elsewhere")
    assert names(Slakh2100(root=tmp_path).tracks("all")) == ["Track00001"]
    assert f"{tmp_path}: 2 songs without metadata.yaml or stems are left out, such as Track00002" in caplog.text


def test_a_song_of_no_stem_is_named(tmp_path):
    folder = trees.slakh(tmp_path / "train" / "Track00001", {"S01": midi_stem(0)})
    (folder / "stems" / "S01.flac").unlink()
    with pytest.raises(CorpusError, match=re.escape(f"{folder / 'stems'} holds no stems; fetch the song again")):
        Slakh2100(root=tmp_path).tracks("train")


REAL = {"drums": ["S01"], "bass": ["S03"], "guitar": ["S00", "S07", "S08"], "piano": ["S02"]}
REST_OF_REAL = ["S04", "S05", "S09", "S10"]


@pytest.mark.parametrize(
    ("folder", "ending", "rate"), [("slakh2100_flac_redux", "flac", 44100), ("babyslakh_16k", "wav", 16000)]
)
def test_a_real_song(real_audio, folder, ending, rate):
    root = real_audio / "corpora" / "slakh" / folder
    song = only(root, stems=6)
    assert (song.name, song.mixture.name, song.note) == ("Track00001", f"mix.{ending}", "")
    assert {stem: [file.stem for file in files] for stem, files in song.stems.items()} == {
        **REAL, "other": REST_OF_REAL
    }  # fmt: skip
    assert all(file.suffix == f".{ending}" for files in song.stems.values() for file in files)
    reference = load(only(root))
    assert reference.sample_rate == rate
    assert set(reference.stems) == {"drums", "bass", "other"}
    np.testing.assert_allclose(sum(reference.stems.values()), reference.mixture, atol=1e-6)
    assert np.abs(reference.stems["other"]).max() > 0.1


def test_a_real_song_is_in_the_split_of_its_number(real_audio):
    redux = Slakh2100(root=real_audio / "corpora" / "slakh" / "slakh2100_flac_redux")
    assert [names(redux.tracks(split)) for split in SPLITS] == [["Track00001"], [], []]


def test_a_real_song_of_midi_alone_is_left_out_with_a_warning(real_audio, caplog):
    root = real_audio / "corpora" / "slakh" / "babyslakh_16k"
    assert (root / "Track00007" / "MIDI").is_dir()
    assert names(Slakh2100(root=root).tracks("all")) == ["Track00001"]
    assert "1 songs without metadata.yaml or stems are left out, such as Track00007" in caplog.text


@pytest.fixture
def mixed_config(small_config, songs, tmp_path):
    """A run on Slakh2100, in which every stem is a level, and on songs with vocals and drums."""
    for number in (1, 2, 1501, 1876):
        trees.slakh(tmp_path / "slakh" / official(number) / track(number), BAND, frames=12000)
    path = tmp_path / "mixed.toml"
    path.write_text(
        f"""{small_config.read_text()}
        [[datasets]]
        name = "slakh2100"
        root = "{tmp_path / "slakh"}"
        [[datasets]]
        name = "folder"
        root = "{songs}"
        validation = ["three"]
        test = ["four"]
        """
    )
    return path


BOTH = 'audio.sources=["vocals", "drums"]'


def batches(config, *overrides, steps=40):
    data = Data(configs.load(config, overrides))
    return list(islice(data.train_batches(0), steps))


def steady(samples):
    """Whether what is heard in each example is a level, as in the songs of Slakh2100 here: [batch, ...] -> [batch]."""
    flat = samples.flatten(1)
    return (flat - flat[:, :1]).abs().amax(1) < 1e-3


@pytest.mark.parametrize("remix", [0, 0.5, 1])
def test_songs_without_vocals_are_accompaniment_and_never_silence_to_learn(mixed_config, remix):
    accompaniment = []
    for batch in batches(mixed_config, f"train.remix={remix}", "train.silent=0"):
        assert batch["present"].all()
        assert batch["targets"].abs().amax((1, 2, 3)).min() > 0.01
        accompaniment.append(steady(batch["mixture"] - batch["targets"][:, 0]))
    share = np.concatenate(accompaniment).mean()
    assert share == 0 if remix == 0 else 0.1 < share < 0.6


@pytest.mark.parametrize("remix", [0, 0.5, 1])
def test_absent_vocals_are_marked_where_such_a_song_is_drawn(mixed_config, remix):
    aligned = 0
    for batch in batches(mixed_config, f"train.remix={remix}", "train.silent=0", BOTH):
        silent = batch["targets"].abs().amax((2, 3)) == 0
        assert (silent == ~batch["present"]).all()
        assert batch["present"][:, 1].all()
        from_slakh = steady(batch["mixture"])
        assert (from_slakh == ~batch["present"][:, 0]).all()
        assert ((batch["mixture"][from_slakh] - 0.1).abs() < 1e-3).all()
        aligned += int(from_slakh.sum())
    assert (aligned == 0) == (remix == 1)


def test_a_silenced_stem_does_not_make_absent_vocals_known(mixed_config):
    drawn = batches(mixed_config, "train.remix=0", "train.silent=1", BOTH)
    known = np.concatenate([batch["present"][:, 0] for batch in drawn])
    from_slakh = np.concatenate([batch["mixture"].mean((1, 2)) > 0.05 for batch in drawn])
    assert (known == ~from_slakh).all()
    assert 0 < known.sum() < len(known)


def test_validation_counts_absent_vocals_as_unknown(mixed_config):
    alone, both = (Data(configs.load(mixed_config, overrides)) for overrides in ((), (BOTH,)))
    assert [song.name for song in alone.validation_songs] == ["three"]
    assert [song.name for song in both.validation_songs] == ["Track01501", "three"]
    for batch in both.validation_batches():
        assert (steady(batch["mixture"]) == ~batch["present"][:, 0]).all()


def test_a_run_on_songs_without_vocals_alone_says_so(sepkit, small_config, tmp_path):
    for number in (1, 2, 1501):
        trees.slakh(tmp_path / "slakh" / official(number) / track(number), BAND, frames=12000)
    config = tmp_path / "alone.toml"
    config.write_text(f'{small_config.read_text()}\n[[datasets]]\nname = "slakh2100"\nroot = "{tmp_path / "slakh"}"\n')
    done = sepkit("train", config, "--output-dir", tmp_path / "run")
    assert done.code != 0
    assert re.search(r"none of the \d songs has a stem for vocals; stems found: bass, drums, other", done.err)


def scores(sepkit, config, run, *options):
    model = run / "best_model.safetensors"
    plain = ("--metrics", "si_sdr", "--no-cost", "--no-report", "--output-dir", run / "scores")
    outcome = sepkit("evaluate", config, "-m", model, *plain, *options)
    assert outcome.code == 0, outcome.err
    return outcome


def test_vocals_are_scored_only_in_songs_that_have_them(sepkit, mixed_config, tmp_path):
    run = tmp_path / "run"
    done = sepkit("train", mixed_config, "--output-dir", run)
    assert done.code == 0, done.err
    summary = scores(sepkit, mixed_config, run, "--json").json
    assert {(row["track"], row["stem"]) for row in summary["tracks"]} == {("four", "vocals"), ("four", "accompaniment")}
    assert (summary["failed"], summary["absent"]) == ({}, {"Track01876": ["accompaniment", "vocals"]})
    assert re.search("not scored: accompaniment, vocals of Track01876", scores(sepkit, mixed_config, run).out)


def test_what_such_a_song_has_is_scored(sepkit, mixed_config, tmp_path):
    run = tmp_path / "run"
    done = sepkit("train", mixed_config, "--output-dir", run, "--set", BOTH)
    assert done.code == 0, done.err
    summary = scores(sepkit, mixed_config, run, "--json").json
    assert {row["stem"] for row in summary["tracks"] if row["track"] == "Track01876"} == {"drums"}
    assert {row["stem"] for row in summary["tracks"] if row["track"] == "four"} == {"vocals", "drums", "accompaniment"}
    assert (summary["failed"], summary["absent"]) == ({}, {"Track01876": ["accompaniment", "vocals"]})
    vocals = scores(sepkit, mixed_config, run, "--json", "--target", "vocals").json
    assert {row["track"] for row in vocals["tracks"]} == {"four"}
    assert list(vocals["absent"]) == ["Track01876"]
