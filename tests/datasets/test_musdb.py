"""MUSDB18 and MUSDB18-HQ: official splits, streams of a stem file, known faults."""

import csv
import re
import shutil
from unicodedata import normalize

import av
import numpy as np
import pytest
import soundfile

from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read, read_sum
from sepkit.component import AudioSpec
from sepkit.data.song import RESIDUAL, files_for, songs_of
from sepkit.datasets.musdb import MUSDB18, MUSDB18HQ
from sepkit.datasets.official import facts_of
from sepkit.errors import AudioError, CorpusError
from sepkit.evaluation.reference import load
from sepkit.track import Stream
from tests.datasets import trees

FACTS = facts_of("musdb18")
ROCK = "Music Delta - 80s Rock.stem.mp4"
FALCON = "The Easton Ellises - Falcon 69"
SPLITS = ("train", "validation", "test", "all")


def names(tracks):
    return [track.name for track in tracks]


@pytest.fixture
def stem_file(tmp_path):
    """Six seconds of a song of the corpus, which stempeg ships."""
    return shutil.copy(trees.example_stem(), tmp_path / "example.stem.mp4")


@pytest.fixture(params=[MUSDB18HQ, MUSDB18])
def adapter(request, stem_file, tmp_path):
    """Each of the two, on a whole corpus."""
    root = tmp_path / "corpus"
    if request.param is MUSDB18HQ:
        trees.links(root, trees.musdb_names(), trees.hq_song(tmp_path / "song"))
    else:
        trees.musdb18(root, trees.musdb_names(), stem_file)
    return request.param(root=root)


def test_the_official_splits_have_86_14_and_50_songs(adapter):
    split = {split: names(adapter.tracks(split)) for split in SPLITS}
    assert {name: len(songs) for name, songs in split.items()} == {
        "train": 86, "validation": 14, "test": 50, "all": 150
    }  # fmt: skip
    assert set(split["validation"]) == set(FACTS["validation"])
    assert set(split["train"] + split["validation"]) == set(trees.musdb_names()["train"])
    assert set(split["test"]) == set(trees.musdb_names()["test"])
    assert sorted(split["all"]) == sorted(split["train"] + split["validation"] + split["test"])
    assert len(set(split["all"])) == 150


def test_what_is_publicly_known_to_be_wrong_is_noted(adapter):
    noted = {track.name: track.note for track in adapter.tracks("all") if track.note}
    assert noted == FACTS["errata"]
    assert len(noted) == 8
    assert noted["BKS - Bulldozer"] == "a cowbell in other at 1:12"


def test_a_song_of_musdb18hq_is_five_files(tmp_path):
    root = trees.musdb18hq(tmp_path / "hq", {"train": ["A - B"], "test": ["C - D"]})
    (track,) = MUSDB18HQ(root=root).tracks("train")
    song = root / "train" / "A - B"
    assert track.stems == {stem: (song / f"{stem}.wav",) for stem in ("vocals", "drums", "bass", "other")}
    assert (track.mixture, track.complete, track.group) == (song / "mixture.wav", True, "A - B")


def test_a_song_of_musdb18_is_five_audio_streams(stem_file, tmp_path):
    root = trees.musdb18(tmp_path / "mp4", {"train": ["A - B"], "test": ["C - D"]}, stem_file)
    (track,) = MUSDB18(root=root).tracks("test")
    path = root / "test" / "C - D.stem.mp4"
    assert {stem: files[0].number for stem, files in track.stems.items()} == {
        "drums": 1, "bass": 2, "other": 3, "vocals": 4
    }  # fmt: skip
    assert {file.path for files in track.stems.values() for file in files} == {path}
    assert (track.mixture, track.complete, track.group) == (Stream(path, 0), True, "C - D")


def test_the_official_validation_songs_and_the_faulty_ones_are_in_the_track_list(real_audio):
    with (real_audio / "corpora" / "musdb" / "tracklist.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["Track Name"] for row in csv.DictReader(file)}
    assert len(listed) == 150
    assert len(set(FACTS["validation"])) == len(FACTS["validation"]) == 14
    assert set(FACTS["validation"]) <= listed
    assert set(FACTS["errata"]) <= listed


@pytest.mark.parametrize(
    ("name", "artist", "title"),
    [
        ("Clara Berry And Wooldog - Waltz For My Victims", "Clara Berry And Wooldog", "Waltz For My Victims"),
        ("Band - Song - Live - 1999", "Band", "Song - Live - 1999"),
        ("Jay-Z-ish - Re-Make", "Jay-Z-ish", "Re-Make"),
    ],
)
def test_artist_and_title_are_split_at_the_first_dash(stem_file, tmp_path, name, artist, title):
    hq = MUSDB18HQ(root=trees.musdb18hq(tmp_path / "hq", {"train": [name]}))
    mp4 = MUSDB18(root=trees.musdb18(tmp_path / "mp4", {"train": [name]}, stem_file))
    for track in (*hq.tracks("all"), *mp4.tracks("all")):
        assert (track.name, track.artist, track.title) == (name, artist, title)


def test_names_in_parts_are_the_same_names(tmp_path):
    decomposed = normalize("NFD", "Sigur Rós - Ágætis")
    (track,) = MUSDB18HQ(root=trees.musdb18hq(tmp_path / "hq", {"train": [decomposed]})).tracks("train")
    assert (track.name, track.artist, track.title) == ("Sigur Rós - Ágætis", "Sigur Rós", "Ágætis")
    assert probe(track.stems["vocals"][0]).frames == 8


def test_missing_files_are_named_and_the_rest_of_them_counted(tmp_path):
    root = trees.musdb18hq(tmp_path / "hq", {"train": ["A - B", "C - D", "E - F"], "test": ["G - H"]})
    gone = [root / "train" / "A - B" / "vocals.wav", root / "train" / "C - D" / "mixture.wav"]
    for path in gone:
        path.unlink()
    with pytest.raises(CorpusError) as raised:
        MUSDB18HQ(root=root).tracks("train")
    assert f"missing: {gone[0]}, {gone[1]}. Expected train/<Artist - Title>/mixture.wav" in str(raised.value)
    assert names(MUSDB18HQ(root=root).tracks("test")) == ["G - H"]
    shutil.rmtree(root / "train" / "E - F")
    (root / "train" / "E - F").mkdir()
    with pytest.raises(CorpusError, match=r"bass\.wav and 2 more\. Expected|drums\.wav and 2 more\. Expected"):
        MUSDB18HQ(root=root).tracks("all")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("made", ["", "corpus", "corpus/train", "corpus/extra/train/A - B", "corpus/train/._A - B"])
@pytest.mark.parametrize("adapter_class", [MUSDB18HQ, MUSDB18])
def test_nothing_there_names_the_folder_and_what_was_expected(tmp_path, adapter_class, made, split):
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    ending = "/mixture.wav" if adapter_class is MUSDB18HQ else ".stem.mp4"
    expected = f"{tmp_path / 'corpus'}. Expected train/<Artist - Title>{ending}"
    with pytest.raises(CorpusError, match=re.escape(expected)):
        adapter_class(root=tmp_path / "corpus").tracks(split)


def test_one_corpus_taken_for_the_other_is_an_error(stem_file, tmp_path):
    trees.musdb18hq(tmp_path / "hq", {"train": ["A - B"], "test": ["C - D"]})
    trees.musdb18(tmp_path / "mp4", {"train": ["A - B"], "test": ["C - D"]}, stem_file)
    for wrong in (MUSDB18HQ(root=tmp_path / "mp4"), MUSDB18(root=tmp_path / "hq")):
        with pytest.raises(CorpusError, match=re.escape(f"{wrong.root}. Expected train/<Artist - Title>")):
            wrong.tracks("train")


def test_the_test_songs_alone_are_enough_to_test_on(stem_file, tmp_path):
    trees.musdb18hq(tmp_path / "hq", {"test": ["C - D"]})
    trees.musdb18(tmp_path / "mp4", {"test": ["C - D"]}, stem_file)
    for corpus in (MUSDB18HQ(root=tmp_path / "hq"), MUSDB18(root=tmp_path / "mp4")):
        assert names(corpus.tracks("test")) == names(corpus.tracks("all")) == ["C - D"]
        assert corpus.tracks("train") == []


def test_hidden_and_other_files_are_no_songs(stem_file, tmp_path):
    hq = trees.musdb18hq(tmp_path / "hq", {"train": ["A - B"]})
    mp4 = trees.musdb18(tmp_path / "mp4", {"train": ["A - B"]}, stem_file)
    for root in (hq, mp4):
        for name in (".DS_Store", "._A - B", "._A - B.stem.mp4", "readme.txt"):
            (root / "train" / name).write_text("resource fork")
    (hq / "train" / ".trash").mkdir()
    (hq / "train" / "A - B" / "._vocals.wav").write_text("resource fork")
    for corpus in (MUSDB18HQ(root=hq), MUSDB18(root=mp4)):
        assert names(corpus.tracks("all")) == ["A - B"]


def streams(path):
    return [read(Stream(path, number)) for number in range(5)]


def decibels(part, whole):
    return 10 * np.log10(np.square(part).sum() / np.square(whole).sum())


@pytest.mark.parametrize("name", [ROCK, f"{FALCON}.stem.mp4"])
def test_real_stems_add_up_to_about_the_mixture(real_audio, name):
    (mixture, rate), *stems = streams(real_audio / "corpora" / "musdb" / name)
    assert rate == 44100
    assert all(samples.shape == mixture.shape and samples.shape[0] == 2 for samples, _ in stems)
    remainder = decibels(mixture - sum(samples for samples, _ in stems), mixture)
    assert -60 < remainder < -15, "the mixture is encoded by itself: about the sum, and not the sum"
    assert all(decibels(mixture - samples, mixture) > remainder + 3 for samples, _ in stems)


def test_each_stem_is_the_stream_that_sounds_like_it(real_audio, tmp_path):
    root = trees.musdb18(
        tmp_path / "mp4", {"train": ["Music Delta - 80s Rock"]}, real_audio / "corpora" / "musdb" / ROCK
    )
    (track,) = MUSDB18(root=root).tracks("train")
    stems = load(track).stems
    crest = {name: np.abs(s).max() / np.sqrt(np.square(s).mean()) for name, s in stems.items()}
    deep = {name: low_share(s, 44100) for name, s in stems.items()}
    assert max(crest, key=crest.get) == "drums"
    assert deep["bass"] > 0.8
    assert max(deep["vocals"], deep["other"]) < 0.3


def low_share(samples, rate):
    """Return the share of the energy below 250 Hz."""
    energy = np.square(np.abs(np.fft.rfft(samples.mean(0))))
    return energy[np.fft.rfftfreq(samples.shape[1], 1 / rate) < 250].sum() / energy.sum()


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="stempeg imports only where ffmpeg is installed")
@pytest.mark.parametrize("name", [ROCK, "Falcon69_ALAC.stem.m4a"])
def test_streams_are_decoded_as_stempeg_decodes_them(real_audio, name):
    import stempeg

    path = real_audio / "corpora" / "musdb" / name
    expected, rate = stempeg.read_stems(str(path))
    for number, (samples, own_rate) in enumerate(streams(path)):
        assert own_rate == rate
        assert expected.shape[1] - samples.shape[1] < 1024, "what the header does not count is padding of one frame"
        np.testing.assert_allclose(samples.T, expected[number, : samples.shape[1]], atol=1e-6)


@pytest.mark.parametrize("number", [5, 6, 100])
def test_the_cover_picture_is_no_audio_stream(stem_file, number):
    with pytest.raises(AudioError, match=rf"example\.stem\.mp4: no audio stream {number}; it has 5, counted from 0"):
        read(Stream(stem_file, number))


def test_a_cover_picture_before_the_audio_is_not_counted(stem_file, tmp_path):
    """In the corpus it comes last."""
    path = tmp_path / "cover-first.stem.mp4"
    with av.open(stem_file) as old, av.open(path, "w") as new:
        film = new.add_stream("mpeg4", rate=1, width=16, height=16, pix_fmt="yuv420p")
        copies = {stream.index: new.add_stream_from_template(stream) for stream in old.streams.audio}
        new.mux([*film.encode(av.VideoFrame(16, 16, "yuv420p")), *film.encode(None)])
        for packet in old.demux(old.streams.audio):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    with av.open(path) as new:
        assert [stream.type for stream in new.streams] == ["video", *["audio"] * 5]
    for (one, _), (other, _) in zip(streams(stem_file), streams(path), strict=True):
        np.testing.assert_array_equal(one, other)


OFFSETS = (0, 1, 333, 1023, 1024, 4095, 4096, 4097, 5121, 44101, 99_999, 131_071, 217_777)


def assert_seeks(path, number):
    """Compare parts of a stream, read by themselves, with those parts of the whole of it."""
    stream = Stream(path, number)
    whole, rate = read(stream)
    piece = Piece(stream, probe(stream))
    for start in (*OFFSETS, whole.shape[1] - 1001):
        for frames in (1, 1001):
            part = read_sum([piece], rate, 2, start, frames)
            np.testing.assert_allclose(part, whole[:, start : start + frames], atol=1e-6, rtol=0, err_msg=str(start))
    beyond = read_sum([piece], rate, 2, whole.shape[1] - 10, 50)
    np.testing.assert_allclose(beyond[:, :10], whole[:, -10:], atol=1e-6, rtol=0)
    assert not beyond[:, 10:].any()


@pytest.mark.parametrize(("name", "number"), [(ROCK, 0), (ROCK, 4), ("Falcon69_ALAC.stem.m4a", 2)])
def test_a_part_of_a_real_stream_is_that_part_of_the_whole(real_audio, name, number):
    assert_seeks(real_audio / "corpora" / "musdb" / name, number)


def test_a_part_of_a_stream_is_that_part_of_the_whole(stem_file):
    assert_seeks(stem_file, 1)


def test_a_part_of_a_stream_at_another_rate_is_that_part_of_the_whole(stem_file):
    stream = Stream(stem_file, 4)
    piece = Piece(stream, probe(stream))
    frames = piece.frames_at(16000)
    whole = read_sum([piece], 16000, 1, 0, frames)
    assert np.abs(whole).max() > 0.05
    for start in (1, 4001, 50_003):
        np.testing.assert_allclose(
            read_sum([piece], 16000, 1, start, 2001), whole[:, start : start + 2001], atol=2e-6, rtol=0
        )


def test_lossless_stem_files_are_songs_too(real_audio, tmp_path):
    root = trees.musdb18(
        tmp_path / "m4a", {"train": [FALCON]}, real_audio / "corpora" / "musdb" / "Falcon69_ALAC.stem.m4a"
    )
    (track,) = MUSDB18(root=root).tracks("train")
    assert (track.name, track.mixture) == (FALCON, Stream(root / "train" / f"{FALCON}.stem.m4a", 0))
    song = load(track)
    assert song.mixture.shape == (2, 265_216)
    assert decibels(song.mixture - sum(song.stems.values()), song.mixture) < -15


def test_training_uses_the_sum_of_the_stems_and_evaluation_the_mixture(stem_file, tmp_path):
    root = trees.musdb18(tmp_path / "mp4", {"train": [FALCON]}, stem_file)
    (track,) = MUSDB18(root=root).tracks("train")
    audio = AudioSpec(44100, 2, ("vocals",))
    assert sorted(file.number for file in files_for(track, audio)) == [1, 2, 3, 4]
    (song,) = songs_of([(0, track)], audio)
    vocals, rest = (song.part(name).read(audio, 0, song.frames) for name in ("vocals", RESIDUAL))
    (mixture, _), *stems = streams(stem_file)
    np.testing.assert_array_equal(vocals, stems[3][0])
    np.testing.assert_allclose(rest, sum(samples for samples, _ in stems[:3]), atol=1e-6)
    assert decibels(mixture - vocals - rest, mixture) > -40, "else this tells nothing"
    np.testing.assert_array_equal(load(track).mixture, mixture)


@pytest.mark.parametrize("content", [b"", b"not a film at all" * 50])
def test_a_file_that_is_no_stem_file_is_named(tmp_path, content):
    path = tmp_path / "broken.stem.mp4"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"broken\.stem\.mp4: (the file is empty|not readable as audio)"):
        probe(Stream(path, 0))


def test_a_stem_file_that_breaks_off_is_an_error(real_audio, tmp_path):
    """Its index lies at its end or its start; either way nothing may pass for the whole stream."""
    path = tmp_path / "cut.stem.mp4"
    path.write_bytes((real_audio / "corpora" / "musdb" / ROCK).read_bytes()[:600_000])
    with pytest.raises(AudioError, match=r"cut\.stem\.mp4"):
        read(Stream(path, 4))


def test_a_file_of_one_stream_is_no_song_of_musdb18(tmp_path):
    path = tmp_path / "mp4" / "train" / "A - B.stem.mp4"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.zeros((100, 2)), 44100, format="WAV")
    tracks = [(0, track) for track in MUSDB18(root=tmp_path / "mp4").tracks("train")]
    with pytest.raises(CorpusError, match=r"A - B\.stem\.mp4: no audio stream 4; it has 1, counted from 0"):
        songs_of(tracks, AudioSpec(44100, 2, ("vocals",)))


def test_a_run_on_musdb18_trains_and_is_scored(sepkit, small_config, stem_file, tmp_path):
    names = {"train": ["Band - Song", "Johnny Lokke - Promises & Lies"], "test": [FALCON]}
    root = trees.musdb18(tmp_path / "mp4", names, stem_file)
    config = tmp_path / "musdb18.toml"
    config.write_text(f'{small_config.read_text()}\n[[datasets]]\nname = "musdb18"\nroot = "{root}"\n')
    run, scores = tmp_path / "run", tmp_path / "scores"
    done = sepkit(
        "train", config, "--output-dir", run, "--epochs", 1, "--set", "train.steps_per_epoch=1",
        "--set", "train.chunk_seconds=3", "--set", "train.precision=fp32", "--set", "train.workers=1",
    )  # fmt: skip
    assert done.code == 0, done.err
    scored = sepkit(
        "evaluate", config, "-m", run / "best_model.safetensors", "--metrics", "si_sdr",
        "--output-dir", scores, "--json", "--no-cost",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    rows = {(row["track"], row["stem"]) for row in scored.json["tracks"]}
    assert rows == {(FALCON, "vocals"), (FALCON, "accompaniment")}
