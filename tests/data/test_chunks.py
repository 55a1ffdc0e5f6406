"""Chunks: what is mixed with what, and randomness that follows from seed and index alone."""

import numpy as np
import pytest
import soundfile
import torch

from sepkit import config as configs
from sepkit.component import AudioSpec
from sepkit.config import Shortcuts
from sepkit.data.draw import Draw
from sepkit.data.loader import Data
from sepkit.data.song import prepare
from sepkit.datasets.folder import Folder
from sepkit.errors import CorpusError
from tests.conftest import write_songs


def run_config(path, root, *overrides):
    return configs.load(path, overrides, Shortcuts(data_dir=root))


def batches(config, first=0, steps=3):
    return list(Data(config).train_batches(first, steps))


def same(one, other):
    return all(torch.equal(a[k], b[k]) for a, b in zip(one, other, strict=True) for k in a)


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


def test_a_remixed_chunk_is_a_voice_on_another_accompaniment(small_config, songs):
    data = Data(run_config(small_config, songs, "train.remix=1"))
    draw = Draw(data.train_songs, ("vocals",), 4000, 1.0, 0)
    drawn = [draw(i)[0] for i in range(200)]
    assert any(voice.song != rest.song for voice, rest in drawn)
    assert {voice.song for voice, _ in drawn} == {0, 1, 2}


def test_the_ratio_of_remixed_chunks_is_the_stated_one(small_config, songs):
    data = Data(run_config(small_config, songs))
    draw = Draw(data.train_songs, ("vocals",), 4000, 0.7, 0)
    remixed = [len(set(draw(i)[0])) > 1 for i in range(2000)]
    assert 0.65 < np.mean(remixed) < 0.75


def test_batches_do_not_depend_on_workers_or_on_where_the_series_is_entered(small_config, songs):
    augmented = 'augmentations=[{name="gain"}]'
    alone = batches(run_config(small_config, songs, "train.workers=0", augmented))
    assert same(alone, batches(run_config(small_config, songs, "train.workers=2", augmented)))
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
    audio = AudioSpec(8000, 1, ("vocals", "drums"))
    prepared = {song.name: song for song in prepare(Folder(root=songs).tracks("all"), audio)}
    assert set(prepared["a"].sources) == {"vocals"}
    config = run_config(small_config, songs, "train.remix=0.5", 'audio.sources=["vocals", "drums"]')
    data = Data(config)
    for batch in data.train_batches(0, 40):
        silent = batch["targets"].abs().amax((2, 3)) == 0
        assert not (silent & batch["present"]).any()
        assert (silent == ~batch["present"]).all()


def test_a_mixture_that_may_hide_the_target_is_never_used_as_accompaniment(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    (songs / "a" / "vocals.wav").unlink()
    prepared = prepare(Folder(root=songs).tracks("all"), AudioSpec(8000, 1, ("vocals",)))
    assert [song.name for song in prepared] == ["b"]


def test_an_instrumental_is_accompaniment_for_other_voices(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    for name in ("vocals.wav", "mixture.wav"):
        (songs / "a" / name).unlink()
    prepared = prepare(Folder(root=songs).tracks("all"), AudioSpec(8000, 1, ("vocals",)))
    draw = Draw(prepared, ("vocals",), 4000, 1.0, 0)
    drawn = [draw(i)[0] for i in range(50)]
    assert {(prepared[v.song].name) for v, _ in drawn} == {"b"}
    assert {(prepared[r.song].name) for _, r in drawn} == {"a", "b"}


def test_steps_per_epoch_zero_covers_the_corpus_once(small_config, songs):
    data = Data(run_config(small_config, songs, "train.steps_per_epoch=0"))
    assert data.steps_per_epoch == sum(s.frames for s in data.train_songs) // (2 * 4000)


def test_no_validation_songs_is_an_error_before_training(small_config, songs):
    with pytest.raises(CorpusError, match="no songs to validate on"):
        Data(run_config(small_config, songs, 'datasets=[{name="folder", validation_share=0.0}]'))
