"""Chunks: what is mixed with what, and randomness that follows from seed and index alone."""

import multiprocessing
from itertools import islice

import numpy as np
import pytest
import soundfile
import torch

from sepkit import config as configs
from sepkit.component import AudioSpec
from sepkit.config import Shortcuts
from sepkit.data.draw import Draw
from sepkit.data.loader import Data
from sepkit.data.song import songs_of
from sepkit.data.sounds import with_sounding
from sepkit.datasets.folder import Folder
from sepkit.errors import CorpusError
from sepkit.settings import TrainSettings
from tests.conftest import write_songs


def run_config(path, root, *overrides):
    return configs.load(path, overrides, Shortcuts(data_dir=root))


def batches(config, first=0, steps=3):
    return list(islice(Data(config).train_batches(first), steps))


def same(one, other):
    def equal(a, b):
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b

    return all(equal(a[k], b[k]) for a, b in zip(one, other, strict=True) for k in a)


@pytest.mark.parametrize("remix", [0.0, 1.0])
def test_the_mixture_of_a_chunk_is_its_targets_plus_the_rest(small_config, songs, remix):
    config = run_config(small_config, songs, f"train.remix={remix}", 'audio.sources=["vocals", "drums"]')
    for batch in batches(config):
        assert batch["mixture"].shape == (2, 1, 4000)
        assert batch["targets"].shape == (2, 2, 1, 4000)
        torch.testing.assert_close(batch["targets"].sum(1), batch["mixture"], atol=1e-6, rtol=0)


def test_an_aligned_chunk_is_a_piece_of_its_song(small_config, songs):
    config = run_config(small_config, songs, "train.remix=0")
    mixtures = [soundfile.read(p / "mixture.wav", dtype="float32")[0].mean(1) for p in songs.iterdir()]
    for batch in batches(config):
        for chunk in batch["mixture"][:, 0].numpy():
            windows = [np.lib.stride_tricks.sliding_window_view(m, len(chunk)) for m in mixtures]
            assert min(np.abs(w - chunk).max(1).min() for w in windows) < 1e-6


def prepare(root, *sources):
    """The songs of a plain folder as a run at 8 kHz sees them, by name."""
    audio = AudioSpec(8000, 1, sources)
    songs = songs_of([(0, track) for track in Folder(root=root).tracks("all")], audio)
    return {song.name: song for song in with_sounding(songs, 8000, 0)}


def recipes(songs, *sources, count=1000, weights=(1.0,), **settings):
    settings = {"remix": 1.0, "silent": 0.0, **settings}
    draw = Draw(list(songs.values()), sources, 4000, weights, TrainSettings(**settings), 0)
    return [draw(i) for i in range(count)]


def song_at(songs, clip):
    """The name of the song that a clip is from."""
    return next(name for name, song in songs.items() if clip.part in song.parts.values())


def test_a_remixed_chunk_is_a_voice_on_another_accompaniment(songs):
    prepared = prepare(songs, "vocals")
    drawn = [[song_at(prepared, cuts[0]) for cuts in recipe.stems] for recipe in recipes(prepared, "vocals")]
    assert any(voice != rest for voice, rest in drawn)
    assert {voice for voice, _ in drawn} == {"one", "two", "three", "four"}


def test_the_ratio_of_remixed_chunks_is_the_stated_one(songs):
    prepared = prepare(songs, "vocals")
    drawn = [recipe.stems for recipe in recipes(prepared, "vocals", remix=0.7, count=2000)]
    remixed = [voice.start != rest.start for (voice,), (rest,) in drawn]
    assert 0.65 < np.mean(remixed) < 0.75


def test_the_share_of_silent_targets_is_the_stated_one_and_they_are_silent(small_config, songs):
    prepared = prepare(songs, "vocals")
    silent = [not recipe.stems[0] for recipe in recipes(prepared, "vocals", silent=0.2, remix=0.5, count=2000)]
    assert 0.17 < np.mean(silent) < 0.23
    for batch in batches(run_config(small_config, songs, "train.silent=1")):
        assert batch["present"].all()
        assert not batch["targets"].any()
        assert batch["mixture"].abs().amax((1, 2)).min() > 0.01


def test_targets_are_drawn_where_they_sound(tmp_path):
    songs = write_songs(tmp_path / "s", ["a"], ("vocals", "drums"), seconds=20)
    voice, _ = soundfile.read(songs / "a" / "vocals.wav")
    voice[: 9 * 8000] = 0
    voice[10 * 8000 :] = 1e-4  # bleed, far below the voice
    soundfile.write(songs / "a" / "vocals.wav", voice, 8000, subtype="FLOAT")
    prepared = prepare(songs, "vocals")
    assert prepared["a"].sounding == {"vocals": ((72000, 80000),)}
    for recipe in recipes(prepared, "vocals", remix=0.5, count=200):
        start = recipe.stems[0][0].start
        assert start < 80000 - 900
        assert start + 4000 > 72000 + 900


def test_a_mixed_up_stem_is_two_of_its_kind_with_the_energy_of_one(songs):
    prepared = prepare(songs, "vocals")
    drawn = [recipe.stems for recipe in recipes(prepared, "vocals", mixup=0.25, count=2000)]
    assert 0.22 < np.mean([len(voice) == 2 for voice, _ in drawn]) < 0.28
    assert all(sum(clip.gain**2 for clip in voice) == pytest.approx(1) for voice, _ in drawn)
    assert {len(rest) for _, rest in drawn} == {1}


def test_a_dataset_gets_the_share_of_its_weight_whatever_its_size(songs, tmp_path):
    more = write_songs(tmp_path / "more", [f"m{i}" for i in range(8)], ("vocals", "drums"), seconds=3)
    audio = AudioSpec(8000, 1, ("vocals",))
    roots = enumerate((songs, more))
    tracks = [(number, track) for number, root in roots for track in Folder(root=root).tracks("all")]
    prepared = {song.name: song for song in with_sounding(songs_of(tracks, audio), 8000, 0)}
    drawn = [r.stems[0][0] for r in recipes(prepared, "vocals", weights=(3.0, 1.0), remix=0.5, count=2000)]
    assert 0.7 < np.mean([not song_at(prepared, clip).startswith("m") for clip in drawn]) < 0.8


def test_batches_are_the_same_to_the_bit_whatever_the_threads(tmp_path):
    """Chunks as long as real ones: torch divides only large sums among threads, and a worker has one thread."""
    songs = write_songs(tmp_path / "s", ["a", "b", "c"], ("vocals", "drums"), rate=44100, seconds=9)
    config = configs.load(None, [
        'augmentations=[{name="tempo"}, {name="pitch"}, {name="low_pass"}]', "train.batch_size=3",
    ], Shortcuts(data_dir=songs))  # fmt: skip
    torch.set_num_threads(2)
    here = batches(configs.validate({**config.model_dump(), "train": {**config.train.model_dump(), "workers": 0}}, ""))
    assert torch.get_num_threads() == 2
    assert same(here, batches(config))


@pytest.mark.parametrize(("method", "counts"), [("fork", (1, 4)), ("spawn", (1,))])
def test_batches_are_the_same_to_the_bit_for_any_number_of_workers(small_config, songs, method, counts):
    augmented = 'augmentations=[{name="gain"}, {name="polarity", probability=0.5}, {name="tempo", probability=0.5}]'
    mixed_up = ("train.mixup=0.5", "train.silent=0.2", augmented)
    alone = batches(run_config(small_config, songs, "train.workers=0", *mixed_up), steps=6)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        for workers in counts:
            config = run_config(small_config, songs, f"train.workers={workers}", *mixed_up)
            assert same(alone, batches(config, steps=6))
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_batches_do_not_depend_on_where_the_series_is_entered(small_config, songs):
    augmented = 'augmentations=[{name="gain"}]'
    alone = batches(run_config(small_config, songs, augmented))
    assert same(alone[1:], batches(run_config(small_config, songs, augmented), 1, 2))
    assert not same(alone, batches(run_config(small_config, songs, "seed=1", augmented)))
    assert not same(alone[:1], alone[1:2])


def test_training_and_validation_songs_are_apart_and_validation_covers_each_song(small_config, songs):
    data = Data(run_config(small_config, songs))
    assert not {s.name for s in data.train_songs} & {s.name for s in data.validation_songs}
    total = sum(len(batch["mixture"]) for batch in data.validation_batches())
    assert total == sum(-(-s.frames // 4000) for s in data.validation_songs)


def test_an_absent_stem_is_marked_and_never_silence_to_learn(small_config, tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b", "c", "d"], ("vocals", "drums"))
    for song in "abcd":
        (songs / song / "mixture.wav").unlink()
    (songs / "a" / "drums.wav").unlink()
    assert prepare(songs, "vocals", "drums")["a"].sources == ("vocals",)
    config = run_config(
        small_config, songs, "train.remix=0.5", "train.silent=0", 'audio.sources=["vocals", "drums"]'
    )  # fmt: skip
    for batch in batches(config, 0, 40):
        silent = batch["targets"].abs().amax((2, 3)) == 0
        assert not (silent & batch["present"]).any()
        assert (silent == ~batch["present"]).all()


def test_a_mixture_that_may_hide_the_target_is_never_used_as_accompaniment(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    (songs / "a" / "vocals.wav").unlink()
    assert set(prepare(songs, "vocals")) == {"b"}


def test_a_rest_that_may_hide_a_source_is_only_heard_with_its_own_song(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums", "bass"))
    (songs / "a" / "drums.wav").unlink()
    prepared = prepare(songs, "vocals", "drums")
    drawn = [r.stems for r in recipes(prepared, "vocals", "drums", remix=0.5)]
    with_a = [parts for parts in drawn if song_at(prepared, parts[-1][0]) == "a"]
    assert with_a
    assert all(song_at(prepared, voice) == "a" and not drums for (voice,), drums, _ in with_a)


def test_a_stem_that_a_corpus_does_not_tell_apart_may_hide_in_its_rest(tmp_path):
    """Guitars sound in `other` where nobody listed them; where others of the corpus have a guitar, they do not."""
    coarse = write_songs(tmp_path / "coarse", ["a", "b"], ("vocals", "other"))
    fine = write_songs(tmp_path / "fine", ["c", "d"], ("guitar", "other"))
    (fine / "d" / "guitar.wav").unlink()
    for mixture in tmp_path.rglob("mixture.wav"):
        mixture.unlink()
    tracks = [(n, t) for n, root in enumerate((coarse, fine)) for t in Folder(root=root).tracks("all")]
    assert {song.name for song in songs_of(tracks, AudioSpec(8000, 1, ("guitar",)))} == {"c", "d"}
    without = [(0, t) for t in Folder(root=coarse, without=("guitar",)).tracks("all")]
    assert {s.name for s in songs_of([*without, *tracks[2:]], AudioSpec(8000, 1, ("guitar",)))} == {"a", "b", "c", "d"}


def test_a_song_of_nothing_but_the_target_is_no_accompaniment(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    for name in ("drums.wav", "mixture.wav"):
        (songs / "a" / name).unlink()
    prepared = prepare(songs, "vocals")
    drawn = [r.stems for r in recipes(prepared, "vocals", count=200)]
    assert {song_at(prepared, rest[0]) for _, rest in drawn} == {"b"}
    assert {song_at(prepared, voice[0]) for voice, _ in drawn} == {"a", "b"}


def test_an_instrumental_is_accompaniment_for_other_voices(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    for name in ("vocals.wav", "mixture.wav"):
        (songs / "a" / name).unlink()
    prepared = prepare(songs, "vocals")
    drawn = [[song_at(prepared, cuts[0]) for cuts in r.stems] for r in recipes(prepared, "vocals", count=50)]
    assert {voice for voice, _ in drawn} == {"b"}
    assert {rest for _, rest in drawn} == {"a", "b"}


def test_steps_per_epoch_zero_covers_the_corpus_once(small_config, songs):
    data = Data(run_config(small_config, songs, "train.steps_per_epoch=0"))
    assert data.steps_per_epoch == sum(s.frames for s in data.train_songs) // (2 * 4000)


def test_no_validation_songs_is_an_error_before_training(small_config, songs):
    with pytest.raises(CorpusError, match="no songs to validate on"):
        Data(run_config(small_config, songs, 'datasets=[{name="folder", validation_share=0.0}]'))
