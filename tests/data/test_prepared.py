"""Prepared songs: what is read is what was decoded; nothing stale is ever used; any stop is survived."""

import hashlib
import json
import os
import signal
import time
from itertools import islice
from pathlib import Path
from subprocess import DEVNULL

import numpy as np
import pytest
import soundfile
import torch

from sepkit import config as configs
from sepkit.component import AudioSpec
from sepkit.config import Shortcuts
from sepkit.data import prepared
from sepkit.data.loader import Data
from sepkit.data.preparation import prepare
from sepkit.data.prepared import with_prepared, write
from sepkit.data.song import RESIDUAL, songs_of
from sepkit.datasets.folder import Folder
from sepkit.errors import CorpusError
from tests.conftest import write_songs
from tests.prefork import Command

AUDIO = AudioSpec(8000, 1, ("vocals",))


def songs_in(root, audio=AUDIO):
    return songs_of([(0, track) for track in Folder(root=root).tracks("all")], audio)


def cached(root):
    """Every file of a cache but the lock, with a digest of its content."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("channels", [1, 2])
def test_a_prepared_part_is_the_decoded_one_within_half_a_step(songs, channels):
    audio = AudioSpec(6000, channels, ("vocals",))
    (song, *_) = songs_in(songs, audio)
    write(song, audio)
    ready = with_prepared(song, audio)
    for part in ("vocals", RESIDUAL):
        for start, frames in ((0, 4000), (1234, 777), (song.frames - 10, 50)):
            wanted = song.part(part).read(audio, start, frames)
            read = ready.part(part).read(audio, start, frames)
            assert read.shape == (channels, frames)
            within = song.frames - start
            np.testing.assert_allclose(read[:, :within], wanted[:, :within], atol=0.5001 / 2**15)
            assert not read[:, within:].any()


def test_16_bit_audio_at_the_run_s_own_rate_is_kept_to_the_bit(tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"))
    for path in songs.rglob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[:, 0], rate, subtype="PCM_16")
    (song, *_) = songs_in(songs)
    write(song, AUDIO)
    np.testing.assert_array_equal(
        with_prepared(song, AUDIO).part("vocals").read(AUDIO, 100, 5000), song.part("vocals").read(AUDIO, 100, 5000)
    )


def test_a_sum_beyond_full_scale_is_not_clipped(tmp_path):
    for stem in ("vocals", "drums", "bass", "other"):
        (tmp_path / "s" / "a").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "s" / "a" / f"{stem}.wav", np.full(9000, 0.9), 8000, subtype="FLOAT")
    (song,) = songs_in(tmp_path / "s")
    write(song, AUDIO)
    np.testing.assert_allclose(with_prepared(song, AUDIO).part(RESIDUAL).read(AUDIO, 0, 9000), 2.7, rtol=1e-4)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_not_read_from_the_cache(songs, change):
    (song, *_) = songs_in(songs)
    write(song, AUDIO)
    assert with_prepared(song, AUDIO).prepared
    path = next(iter(song.stamps))
    status = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    (changed, *_) = songs_in(songs)
    assert not with_prepared(changed, AUDIO).prepared
    assert prepared.remove_leftovers() > 0
    assert not cached(prepared.folder())


@pytest.mark.parametrize(
    "other", [AudioSpec(4000, 1, ("vocals",)), AudioSpec(8000, 2, ("vocals",)), AudioSpec(8000, 1, ("drums",))]
)
def test_other_settings_are_another_song(songs, other):
    (song, *_) = songs_in(songs)
    write(song, AUDIO)
    (same, *_) = songs_in(songs, other)
    assert not with_prepared(same, other).prepared


def test_a_file_that_lacks_its_end_is_not_used(songs):
    (song, *_) = songs_in(songs)
    write(song, AUDIO)
    samples = next(prepared.folder().rglob("*.i16"))
    samples.write_bytes(samples.read_bytes()[:-2])
    assert not with_prepared(song, AUDIO).prepared


@pytest.mark.parametrize("content", ["", "[]", '{"depends_on": {"format": 0, "files": []}}'])
def test_an_unreadable_description_is_a_song_to_be_made_again(songs, content):
    (song, *_) = songs_in(songs)
    write(song, AUDIO)
    next(prepared.folder().rglob("*.json")).write_text(content)
    assert not with_prepared(song, AUDIO).prepared
    assert prepared.remove_leftovers() > 0
    assert not cached(prepared.folder())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_prepared_song_that_goes_away_is_an_error_that_says_so(small_config, songs, workers):
    config = configs.load(small_config, [f"train.workers={workers}"], Shortcuts(data_dir=songs))
    prepare(config, 0)
    batches = Data(config).train_batches(0)
    next(batches)
    for path in prepared.folder().rglob("*.i16"):
        path.unlink()
    with pytest.raises(CorpusError, match=r"^\S+\.i16: the prepared song is gone"):
        list(islice(batches, 50))


def test_songs_out_of_reach_stay_and_removed_ones_go(songs, tmp_path):
    for song in songs_in(songs):
        write(song, AUDIO)
    songs.rename(tmp_path / "unmounted")
    assert prepared.remove_leftovers() == 0
    (tmp_path / "unmounted").rename(songs)
    (songs / "one" / "vocals.wav").unlink()
    assert prepared.remove_leftovers() > 0
    assert len(list(prepared.folder().rglob("*.i16"))) == 3


def test_training_reads_what_is_prepared(sepkit, small_config, songs):
    options = ("--data-dir", songs)
    config = configs.load(small_config, (), Shortcuts(data_dir=songs))
    before = list(islice(Data(config).train_batches(0), 4))
    assert "4 of 4 songs are not prepared" in Data(config).advice()
    done = sepkit("data", "prepare", small_config, *options, "--workers", 0, "--json")
    assert done.code == 0, done.err
    assert (done.json["songs"], done.json["made"], done.json["failed"]) == (4, 4, [])
    files = list(prepared.folder().rglob("*.i16"))
    assert done.json["bytes"] == sum(path.stat().st_size for path in files) == 4 * 2 * 12000 * 2
    data = Data(config)
    assert data.advice() == ""
    for a, b in zip(before, islice(data.train_batches(0), 4), strict=True):
        torch.testing.assert_close(a["mixture"], b["mixture"], atol=1.1 / 2**15, rtol=0)
        torch.testing.assert_close(a["targets"], b["targets"], atol=0.6 / 2**15, rtol=0)
    assert sepkit("data", "prepare", small_config, *options, "--workers", 0, "--json").json["made"] == 0


def test_an_unreadable_song_is_named_and_the_others_are_prepared(sepkit, small_config, tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b", "c"], ("vocals", "drums"), rate=16000)
    for stem in ("vocals", "mixture"):
        samples, rate = soundfile.read(songs / "b" / f"{stem}.wav")
        soundfile.write(songs / "b" / f"{stem}.flac", samples, rate)
        (songs / "b" / f"{stem}.wav").unlink()
    broken = songs / "b" / "mixture.flac"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    done = sepkit("data", "prepare", small_config, "--data-dir", songs, "--workers", 0, "--json")
    assert done.code == 1
    (failed,) = done.json["failed"]
    assert failed["song"] == "b"
    assert "mixture.flac" in failed["error"]
    assert done.err.count("Error: ") == 1
    assert done.json["made"] == 2


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(small_config, songs, monkeypatch):
    monkeypatch.setattr("sepkit.audio.read.decode_raw", lambda *_: pytest.fail("nothing may be decoded"))
    monkeypatch.setattr("sepkit.audio.listen.decode_raw", lambda *_: pytest.fail("nothing may be decoded"))
    monkeypatch.setattr("sepkit.data.preparation.shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(CorpusError, match=r"4 songs takes 0\.00 GB in .* set SEPKIT_CACHE"):
        prepare(configs.load(small_config, (), Shortcuts(data_dir=songs)), 0)
    assert not cached(prepared.folder())


def test_killed_and_started_again_the_cache_equals_an_uninterrupted_one(small_config, tmp_path):
    """Kill the real command several times, each time a little later, until it comes through."""
    songs = write_songs(tmp_path / "s", [f"song{i}" for i in range(24)], ("vocals", "drums"), seconds=20)
    command = ("data", "prepare", small_config, "--data-dir", songs, "--workers", "1")

    def start(cache: Path) -> Command:
        environment = {**os.environ, "SEPKIT_CACHE": str(cache)}
        return Command(command, env=environment, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait() == 0
    kills = 0
    while (process := start(killed)).poll() is None:
        done = len(list(killed.rglob("*.i16")))
        while process.poll() is None and len(list(killed.rglob("*.i16"))) < min(done + 5, 24):
            time.sleep(0.001)
        if done + 5 >= 24:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.wait() == 0
    assert kills >= 3
    assert cached(whole / "prepared") == cached(killed / "prepared")
    assert len(cached(whole / "prepared")) == 48
    assert json.loads((whole / "index" / "sounds-2.json").read_text()).keys() == (
        json.loads((killed / "index" / "sounds-2.json").read_text()).keys()
    )
