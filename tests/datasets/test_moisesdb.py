"""MoisesDB: stems of several recordings that differ in length, rate and channels, and splits of our own."""

import json
import re
from unicodedata import normalize
from uuid import UUID

import numpy as np
import pytest
import soundfile

from sepkit.component import AudioSpec
from sepkit.data.song import RESIDUAL, songs_of
from sepkit.datasets.moisesdb import MoisesDB
from sepkit.datasets.split import split_by_hash
from sepkit.errors import CorpusError
from sepkit.evaluation.reference import load
from tests.datasets import trees
from tests.datasets.trees import level, recording

SPLITS = ("train", "validation", "test")
UUIDS = [str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(1, 241)]
ONE, TWO, THREE = UUIDS[:3]


def groups(corpus, split):
    return {track.group for track in corpus.tracks(split)}


def only(root, **settings):
    """The one song of a tree."""
    (track,) = MoisesDB(root=root, **settings).tracks("all")
    return track


def song_of(track, *sources, rate=8000, channels=2):
    """A song as training sees it, and its parts as they are read."""
    audio = AudioSpec(rate, channels, sources)
    (song,) = songs_of([(0, track)], audio)
    return song, {name: song.part(name).read(audio, 0, song.frames) for name in song.parts}


@pytest.fixture
def corpus(tmp_path):
    """As many songs as the corpus has, all of the same files."""
    song = trees.moisesdb(tmp_path / "song", [("vocals", [recording(1)]), ("piano", [recording(2), recording(3)])])
    return trees.links(tmp_path / "corpus", {"moisesdb_v0.1": UUIDS}, song)


def test_a_tenth_of_the_songs_each_is_validation_and_test(corpus):
    found = {split: groups(MoisesDB(root=corpus), split) for split in SPLITS}
    assert {split: len(uuids) for split, uuids in found.items()} == {"train": 192, "validation": 26, "test": 22}
    assert set.union(*found.values()) == set(UUIDS)
    tracks = MoisesDB(root=corpus).tracks("all")
    assert len({track.name for track in tracks}) == 240
    folder = corpus / "moisesdb_v0.1" / ONE
    (track,) = (track for track in tracks if track.group == ONE)
    assert track.stems == {
        "vocals": (folder / "vocals" / "recording-1.wav",),
        "other": (folder / "piano" / "recording-2.wav", folder / "piano" / "recording-3.wav"),
    }
    assert (track.mixture, track.complete) == (None, True)
    assert (track.name, track.artist, track.title) == (f"Artist - Title ({ONE[:8]})", "Artist", "Title")


def test_the_split_of_a_song_is_the_same_for_ever():
    """It depends on the uuid alone: were it to change, models would be tested on what others were trained on."""
    uuids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(16)]
    found = split_by_hash(uuids)
    assert {split: [n for n, uuid in enumerate(uuids) if found[uuid] == split] for split in SPLITS} == {
        "train": [0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14], "validation": [13, 15], "test": [3, 8]
    }  # fmt: skip


def test_a_song_keeps_its_split_when_others_are_added(corpus):
    before = {split: groups(MoisesDB(root=corpus), split) for split in SPLITS}
    for uuid in UUIDS[::2]:
        (corpus / "moisesdb_v0.1" / uuid).unlink()
    after = {split: groups(MoisesDB(root=corpus), split) for split in SPLITS}
    assert all(after[split] == before[split] - set(UUIDS[::2]) for split in SPLITS)


def test_the_root_may_be_either_level(corpus):
    for split in (*SPLITS, "all"):
        outer, inner = (MoisesDB(root=root).tracks(split) for root in (corpus, corpus / "moisesdb_v0.1"))
        assert outer == inner
        assert outer


def test_a_folder_without_data_json_is_no_song(tmp_path):
    trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1)])])
    level(tmp_path / TWO / "vocals" / "recording-1.wav")
    level(tmp_path / THREE / "deeper" / "vocals" / "recording-1.wav")
    (tmp_path / THREE / "deeper" / "data.json").write_text("{}")
    (tmp_path / "readme.txt").write_text("240 songs")
    assert only(tmp_path).group == ONE


NAMES = (
    "vocals", "drums", "bass", "other", "guitar", "other_plucked", "percussion", "piano", "other_keys",
    "bowed_strings", "wind",
)  # fmt: skip


@pytest.mark.parametrize(
    ("stems", "apart"),
    [
        (4, ("vocals", "drums", "bass")),
        (5, ("vocals", "drums", "bass", "guitar")),
        (6, ("vocals", "drums", "bass", "guitar", "piano")),
    ],
)
def test_eleven_stems_become_the_usual_ones(tmp_path, stems, apart):
    folder = trees.moisesdb(tmp_path / ONE, [(name, [recording(n)]) for n, name in enumerate(NAMES)])
    file = {name: folder / name / f"recording-{n}.wav" for n, name in enumerate(NAMES)}
    expected = {name: (file[name],) for name in apart}
    expected["other"] = tuple(file[name] for name in NAMES if name not in apart)
    assert len(expected["other"]) == 11 - len(apart)
    assert only(tmp_path, stems=stems).stems == expected


def test_an_absent_stem_is_no_key(tmp_path):
    trees.moisesdb(tmp_path / ONE, [("bass", [recording(1)]), ("vocals", [])])
    assert set(only(tmp_path, stems=6).stems) == {"bass"}
    song, parts = song_of(only(tmp_path), "vocals", "bass")
    assert song.sources == ("bass",)
    assert not parts[RESIDUAL].any()
    assert set(load(only(tmp_path)).stems) == {"bass"}


def test_a_song_without_vocals_is_accompaniment(tmp_path):
    trees.moisesdb(tmp_path / ONE, [("bass", [recording(1)]), ("wind", [recording(2)])])
    trees.moisesdb(tmp_path / TWO, [("vocals", [recording(1)])])
    tracks = [(0, track) for track in MoisesDB(root=tmp_path).tracks("all")]
    songs = {song.sources: song for song in songs_of(tracks, AudioSpec(44100, 1, ("vocals",)))}
    assert set(songs) == {(), ("vocals",)}
    assert songs[()].pure
    assert len(songs[()].parts[RESIDUAL].pieces) == 2


def test_a_stem_named_twice_is_one(tmp_path):
    folder = tmp_path / ONE
    for number, value in ((1, 0.1), (2, 0.02), (3, 0.003)):
        level(folder / "guitar" / f"recording-{number}.wav", value, frames=20)
    trees.moisesdb(
        folder, [("guitar", [recording(1)]), ("bass", [recording(4)]), ("guitar", [recording(2), recording(3)])]
    )
    guitar = only(tmp_path, stems=5).stems["guitar"]
    assert [file.name for file in guitar] == ["recording-1.wav", "recording-2.wav", "recording-3.wav"]
    (folder / "bass" / "recording-4.wav").unlink()
    level(folder / "bass" / "recording-4.wav", 0.5, frames=20)
    track = only(tmp_path, stems=5)
    np.testing.assert_allclose(load(track).stems["guitar"], 0.123, atol=1e-6)
    np.testing.assert_allclose(song_of(track, "guitar")[1]["guitar"], 0.123, atol=1e-6)


def test_recordings_of_unequal_length_are_padded_to_the_longest_of_the_song(tmp_path):
    folder = tmp_path / ONE
    level(folder / "vocals" / "recording-1.wav", 0.1, channels=2, frames=4000)
    level(folder / "vocals" / "recording-2.wav", 0.02, channels=2, frames=4100)
    level(folder / "wind" / "recording-3.wav", 0.003, channels=2, frames=4213)
    level(folder / "drums" / "recording-4.wav", 0.5, channels=2, frames=3000)
    trees.moisesdb(
        folder,
        [
            ("drums", [recording(4)]), ("vocals", [recording(1), recording(2)]), ("wind", [recording(3)]),
        ],
    )  # fmt: skip
    vocals, rest = (np.zeros((2, 4213), np.float32) for _ in range(2))
    vocals[:, :4000] += 0.1
    vocals[:, :4100] += 0.02
    rest += 0.003
    rest[:, :3000] += 0.5
    song, parts = song_of(only(tmp_path), "vocals")
    assert song.frames == 4213
    np.testing.assert_allclose(parts["vocals"], vocals, atol=1e-6)
    np.testing.assert_allclose(parts[RESIDUAL], rest, atol=1e-6)
    reference = load(only(tmp_path))
    np.testing.assert_allclose(reference.stems["vocals"], vocals, atol=1e-6)
    np.testing.assert_allclose(reference.stems["drums"] + reference.stems["other"], rest, atol=1e-6)
    np.testing.assert_allclose(reference.mixture, vocals + rest, atol=1e-6)
    np.testing.assert_allclose(reference.residual(("vocals",)), rest, atol=1e-6)


def stereo(path, left, right, frames=1000, rate=8000):
    """Write a file with one level on the left and another on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.tile(np.float32([left, right]), (frames, 1)), rate, subtype="FLOAT")


def mixed_channels(folder, *stems):
    """A mono and a stereo recording in one stem, and a mono one in another."""
    stereo(folder / "guitar" / "recording-1.wav", 0.1, -0.3)
    level(folder / "guitar" / "recording-2.wav", 0.02, frames=1000)
    level(folder / "vocals" / "recording-3.wav", 0.005, frames=1000)
    trees.moisesdb(folder, list(stems))


GUITAR, VOCALS = ("guitar", [recording(1), recording(2)]), ("vocals", [recording(3)])


def test_a_mono_recording_is_heard_on_both_sides(tmp_path):
    mixed_channels(tmp_path / ONE, GUITAR, VOCALS)
    parts = song_of(only(tmp_path), "vocals")[1]
    np.testing.assert_allclose(parts["vocals"], 0.005, atol=1e-6)
    np.testing.assert_allclose(parts[RESIDUAL][:, 500], [0.12, -0.28], atol=1e-6)
    np.testing.assert_allclose(song_of(only(tmp_path), "vocals", channels=1)[1][RESIDUAL], -0.08, atol=1e-6)
    reference = load(only(tmp_path))
    np.testing.assert_allclose(reference.stems["vocals"][:, 500], [0.005, 0.005], atol=1e-6)
    np.testing.assert_allclose(reference.stems["other"][:, 500], [0.12, -0.28], atol=1e-6)
    np.testing.assert_allclose(reference.mixture[:, 500], [0.125, -0.275], atol=1e-6)


def test_a_mono_recording_named_first_does_not_make_the_song_mono(tmp_path):
    mixed_channels(tmp_path / ONE, VOCALS, GUITAR)
    assert load(only(tmp_path)).mixture.shape == (2, 1000)


def mixed_rates(folder, *stems):
    level(folder / "guitar" / "recording-1.wav", 0.1, rate=44100, frames=44100)
    level(folder / "guitar" / "recording-2.wav", 0.02, rate=48000, frames=48000)
    level(folder / "vocals" / "recording-3.wav", 0.005, rate=16000, frames=16000)
    trees.moisesdb(folder, list(stems))


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_recordings_of_different_rates_are_of_the_same_time(tmp_path, rate):
    mixed_rates(tmp_path / ONE, GUITAR, VOCALS)
    song, parts = song_of(only(tmp_path), "vocals", rate=rate)
    assert song.frames == rate
    middle = slice(rate // 4, -rate // 4)
    np.testing.assert_allclose(parts["vocals"][:, middle], 0.005, atol=1e-4)
    np.testing.assert_allclose(parts[RESIDUAL][:, middle], 0.12, atol=1e-3)
    reference = load(only(tmp_path))
    assert (reference.sample_rate, reference.mixture.shape[1]) == (48000, 48000)
    np.testing.assert_allclose(reference.mixture[:, 10_000:30_000], 0.125, atol=1e-3)


def test_a_slow_recording_named_first_does_not_slow_the_song(tmp_path):
    mixed_rates(tmp_path / ONE, VOCALS, GUITAR)
    assert load(only(tmp_path)).sample_rate == 48000


@pytest.mark.parametrize("extension", ["wav", ".wav", "flac", ".flac"])
def test_an_extension_may_begin_with_a_dot(tmp_path, extension):
    folder = trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1, extension)])])
    (file,) = only(tmp_path).stems["vocals"]
    assert file == folder / "vocals" / f"recording-1.{extension.removeprefix('.')}"
    assert file.exists()


def test_bleed_is_noted_where_it_is_declared(tmp_path):
    trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1)]), ("drums", [recording(2, has_bleed=False)])])
    trees.moisesdb(
        tmp_path / TWO,
        [
            ("vocals", [recording(1), recording(2, has_bleed=True)]), ("wind", [recording(3, has_bleed=None)]),
            ("piano", [recording(4, has_bleed=True)]),
        ],
    )  # fmt: skip
    notes = {track.group: track.note for track in MoisesDB(root=tmp_path).tracks("all")}
    assert notes == {ONE: "", TWO: "other instruments bleed into piano, vocals"}


@pytest.mark.parametrize(
    ("about", "name"),
    [
        ({"artist": "A", "song": "B"}, f"A - B ({ONE[:8]})"),
        ({"artist": normalize("NFD", "Á"), "song": "B"}, f"Á - B ({ONE[:8]})"),
        ({"artist": "A", "song": 1999}, f"A - 1999 ({ONE[:8]})"),
        ({"artist": "", "song": "B"}, ONE),
        ({"artist": None, "song": "B"}, ONE),
    ],
)
def test_a_song_is_named_by_artist_and_title_where_there_are_both(tmp_path, about, name):
    trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1)])], **about)
    assert only(tmp_path).name == name


def test_songs_of_one_title_have_names_of_their_own(tmp_path):
    for uuid in (ONE, TWO):
        trees.moisesdb(tmp_path / uuid, [("vocals", [recording(1)])])
    one, two = MoisesDB(root=tmp_path).tracks("all")
    assert one.title == two.title
    assert one.name != two.name


def test_a_file_of_splits_overrides_the_hash(corpus, tmp_path):
    lists = tmp_path / "splits.json"
    lists.write_text(json.dumps({"validation": UUIDS[:2], "test": [UUIDS[2]]}))
    listed = MoisesDB(root=corpus, splits=str(lists))
    assert groups(listed, "validation") == set(UUIDS[:2])
    assert groups(listed, "test") == {UUIDS[2]}
    assert groups(listed, "train") == set(UUIDS[3:])
    assert len(listed.tracks("all")) == 240
    assert groups(MoisesDB(root=corpus), "validation") != set(UUIDS[:2])


def test_a_file_of_splits_may_leave_all_songs_to_training(corpus, tmp_path):
    lists = tmp_path / "splits.json"
    lists.write_text('{"validation": [], "test": []}')
    listed = MoisesDB(root=corpus, splits=str(lists))
    assert {split: len(listed.tracks(split)) for split in SPLITS} == {"train": 240, "validation": 0, "test": 0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not a file of splits"),
        ("{", "not a file of splits"),
        (f'["{ONE}"]', "not a file of splits"),
        ('{"test": 3}', "not a file of splits"),
        (f'{{"test": "{ONE}"}}', "not a file of splits.*test: .* is not a list"),
        ('{"test": ["nobody", "noone"]}', "no songs of /.*corpus: nobody, noone"),
        (f'{{"valid": ["{ONE}"]}}', '"valid" is none of "train", "validation" or "test"'),
        (f'{{"test": ["{ONE}", "{TWO}"], "validation": ["{TWO}"]}}', f"listed more than once: {TWO}"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_splits_is_an_error_that_names_it(corpus, tmp_path, content, said):
    lists = tmp_path / "splits.json"
    if content is not None:
        lists.write_text(content)
    with pytest.raises(CorpusError, match=rf"{re.escape(str(lists))}: .*{said}"):
        MoisesDB(root=corpus, splits=str(lists)).tracks("train")


@pytest.mark.parametrize("made", ["", "corpus", "corpus/moisesdb_v0.1", f"corpus/moisesdb_v0.1/{ONE}/vocals"])
def test_nothing_there_names_the_folder_and_what_was_expected(tmp_path, made):
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    for split in (*SPLITS, "all"):
        with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'corpus'}. Expected <uuid>/data.json")):
            MoisesDB(root=tmp_path / "corpus").tracks(split)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "{}", '{"stems": null}', '{"stems": [{"tracks": []}]}', '{"stems": [{"stemName": "bass"}]}',
        '{"stems": [{"stemName": "bass", "tracks": [{"id": "x"}]}]}', '{"stems": "bass"}',
    ],
)  # fmt: skip
def test_a_broken_data_json_is_named(tmp_path, content):
    folder = trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1)])])
    (folder / "data.json").write_text(content)
    with pytest.raises(CorpusError, match=re.escape(f"{folder / 'data.json'}: not a song of MoisesDB")):
        MoisesDB(root=tmp_path).tracks("all")


def test_a_missing_recording_is_named(tmp_path):
    folder = trees.moisesdb(tmp_path / ONE, [("vocals", [recording(1), recording(2)])])
    gone = folder / "vocals" / "recording-2.wav"
    gone.unlink()
    with pytest.raises(CorpusError, match=re.escape(f"{folder / 'data.json'} names {gone}, which is missing")):
        MoisesDB(root=tmp_path).tracks("all")


def sounding_song(folder, *stems):
    """A song of noise, its recordings of unequal length, one in two of them mono."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(stems):
        (folder / name).mkdir(parents=True)
        samples = rng.uniform(-0.1, 0.1, (8000 + 100 * number, 2 - number % 2))
        soundfile.write(folder / name / f"recording-{number}.wav", samples, 8000)
    trees.moisesdb(folder, [(name, [recording(number)]) for number, name in enumerate(stems)], song=folder.name)


def test_a_run_on_moisesdb_trains_and_is_scored(sepkit, small_config, tmp_path):
    instrumental = UUIDS[3]
    for uuid in (ONE, TWO, THREE):
        sounding_song(tmp_path / "moisesdb_v0.1" / uuid, "vocals", "drums", "wind")
    sounding_song(tmp_path / "moisesdb_v0.1" / instrumental, "drums", "wind")
    lists = tmp_path / "splits.json"
    lists.write_text(json.dumps({"validation": [TWO], "test": [THREE, instrumental]}))
    config = tmp_path / "moisesdb.toml"
    config.write_text(
        f'{small_config.read_text()}\n[[datasets]]\nname = "moisesdb"\nroot = "{tmp_path}"\nsplits = "{lists}"\n'
    )
    run = tmp_path / "run"
    done = sepkit("train", config, "--output-dir", run, "--epochs", 1)
    assert done.code == 0, done.err
    scored = sepkit(
        "evaluate", config, "-m", run / "best_model.safetensors", "--metrics", "si_sdr",
        "--output-dir", tmp_path / "scores", "--json", "--no-cost", "--no-report",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    assert {row["track"] for row in scored.json["tracks"]} == {f"Artist - {THREE} ({THREE[:8]})"}
    assert list(scored.json["absent"]) == [f"Artist - {instrumental} ({instrumental[:8]})"]
