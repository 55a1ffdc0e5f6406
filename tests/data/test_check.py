"""`sepkit data check`: each fault of a corpus is found and named, and decides on the exit code."""

import shutil

import numpy as np
import pytest
import soundfile

from sepkit.audio.listen import listen
from tests.conftest import write_songs

RATE = 8000


def rewrite(path, change):
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, change(samples), rate, subtype="FLOAT")


def check(sepkit, config, root):
    done = sepkit("data", "check", config, "--data-dir", root, "--workers", 0, "--json")
    return done.code, done.json["findings"], done.json


def only(findings, text):
    found = [finding for finding in findings if text in finding["text"]]
    assert len(found) == 1, [finding["text"] for finding in findings]
    return found[0]


def test_a_clean_corpus_has_no_findings(sepkit, small_config, songs):
    code, findings, data = check(sepkit, small_config, songs)
    assert (code, findings, data["usable"]) == (0, [], True)
    assert len(data["songs"]) == 4
    (vocals,) = [row for row in data["songs"][0]["files"] if row["stem"] == "vocals"]
    assert (vocals["sample_rate"], vocals["channels"], vocals["frames"]) == (8000, 2, 12000)
    assert vocals["silent_share"] == 0
    assert -20 < vocals["peak_db"] < -10
    assert all(song["mixture_minus_stems_db"] < -100 for song in data["songs"])


def test_the_table_is_for_people(sepkit, small_config, songs):
    done = sepkit("data", "check", small_config, "--data-dir", songs, "--workers", 0)
    assert done.code == 0
    assert "folder train" in done.out
    assert "Everything can be used. Unusable: 0, warnings: 0, notes: 0" in done.out


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x * 0, "silent throughout"),
        (lambda x: np.where(np.arange(len(x))[:, None] // 40 % 7 == 3, 1.0, x), "clips in"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 77, np.nan, x), "2 samples are not finite"),
        (lambda x: x[:6000], "0.8 s shorter"),
    ],
)
def test_faults_of_a_file_are_found(sepkit, small_config, songs, change, text):
    rewrite(songs / "two" / "drums.wav", change)
    code, findings, _ = check(sepkit, small_config, songs)
    assert code == 0
    finding = only(findings, text)
    assert finding["track"] == "two"
    assert finding["file"].endswith("drums.wav")


def test_unreadable_and_truncated_files_are_unusable(sepkit, small_config, songs):
    (songs / "one" / "drums.wav").write_text("no audio")
    samples, rate = soundfile.read(songs / "two" / "drums.wav")
    soundfile.write(songs / "two" / "drums.flac", samples, rate)
    (songs / "two" / "drums.wav").unlink()
    broken = songs / "two" / "drums.flac"
    broken.write_bytes(broken.read_bytes()[:5000])
    code, findings, data = check(sepkit, small_config, songs)
    assert (code, data["usable"]) == (1, False)
    assert {f["track"] for f in findings if f["severity"] == "unusable"} == {"one", "two"}
    assert len(data["songs"]) == 4, "the others are looked at nevertheless"
    done = sepkit("data", "check", small_config, "--data-dir", songs, "--workers", 0)
    assert "Not everything can be used. Unusable: 2" in done.out


def test_a_wav_that_lacks_its_end_is_unusable_although_libsndfile_reads_it(sepkit, small_config, songs):
    broken = songs / "one" / "vocals.wav"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    code, findings, _ = check(sepkit, small_config, songs)
    assert code == 1
    assert "vocals.wav: truncated, holds 0.7 s of 1.5 s" in only(findings, "truncated")["text"]
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", songs.parent / "run")
    assert (done.code, "holds 0.7 s of 1.5 s" in done.err) == (1, True)


def test_a_wav_from_a_pipe_has_no_length_in_its_header_and_is_whole(sepkit, small_config, songs):
    path = songs / "one" / "vocals.wav"
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert check(sepkit, small_config, songs)[0] == 0


def test_training_names_every_file_that_was_cut_off_before_it_begins(sepkit, small_config, songs):
    for name in ("one", "two"):
        path = songs / name / "mixture.wav"
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        path.unlink()
        data = path.with_suffix(".flac").read_bytes()
        path.with_suffix(".flac").write_bytes(data[: len(data) * 9 // 10])
    done = sepkit("train", small_config, "--data-dir", songs, "--output-dir", songs.parent / "run")
    assert done.code == 1
    assert "one/mixture.flac" in done.err
    assert "two/mixture.flac" in done.err
    assert not (songs.parent / "run").exists()


def test_a_corpus_that_a_run_would_refuse_is_unusable(sepkit, small_config, songs):
    done = sepkit("data", "check", small_config, "--data-dir", songs, "--target", "piano", "--workers", 0, "--json")
    assert done.code == 1
    assert "no song has a stem for piano" in done.json["findings"][0]["text"]
    for name in ("two", "three", "four"):
        shutil.rmtree(songs / name)
    code, findings, _ = check(sepkit, small_config, songs)
    assert code == 1
    only(findings, "no songs to validate on")


def test_a_dead_channel_of_a_mixture_shows(sepkit, small_config, songs):
    rewrite(songs / "one" / "mixture.wav", lambda x: x * np.array([0, 1], np.float32))
    _, findings, _ = check(sepkit, small_config, songs)
    assert only(findings, "are they of one song?")["track"] == "one"


def test_a_stem_that_is_a_copy_of_the_mixture_shows(sepkit, small_config, songs):
    shutil.copy(songs / "one" / "mixture.wav", songs / "one" / "vocals.wav")
    _, findings, _ = check(sepkit, small_config, songs)
    assert only(findings, "the same audio as")["file"].endswith("vocals.wav")


def test_the_same_audio_in_two_splits_is_found_whatever_the_format(sepkit, small_config, tmp_path):
    write_songs(tmp_path / "s" / "train", ["a", "b"], ("vocals", "drums"))
    write_songs(tmp_path / "s" / "test", ["x", "y", "c"], ("vocals", "drums"))
    samples, rate = soundfile.read(tmp_path / "s" / "test" / "c" / "vocals.wav")
    samples = np.rint(samples * 2**15).astype(np.int16)
    soundfile.write(tmp_path / "s" / "train" / "a" / "vocals.wav", samples, rate)
    soundfile.write(tmp_path / "s" / "test" / "c" / "vocals.flac", samples, rate)
    (tmp_path / "s" / "test" / "c" / "vocals.wav").unlink()
    code, findings, _ = check(sepkit, small_config, tmp_path / "s")
    assert code == 0
    leak = only([f for f in findings if f["track"] == "c"], "vocals.wav in the ")
    assert leak["severity"] == "warning"
    assert leak["file"].endswith("vocals.flac")


def test_silence_is_not_the_same_audio(sepkit, small_config, songs):
    for song in ("one", "two"):
        rewrite(songs / song / "drums.wav", np.zeros_like)
    _, findings, _ = check(sepkit, small_config, songs)
    assert not [f for f in findings if "the same audio" in f["text"]]


def test_a_mixture_of_something_else_is_found(sepkit, small_config, songs):
    rewrite(songs / "one" / "mixture.wav", lambda x: np.roll(x, 3000, 0))
    code, findings, _ = check(sepkit, small_config, songs)
    assert code == 0
    assert only(findings, "are they of one song?")["track"] == "one"


def test_one_wrong_channel_of_a_mixture_shows(sepkit, small_config, songs):
    rewrite(songs / "one" / "mixture.wav", lambda x: x * np.array([0.5, 1], np.float32))
    _, _, data = check(sepkit, small_config, songs)
    assert [song["mixture_minus_stems_db"] > -1 for song in data["songs"]].count(True) == 1


def test_row_34_stems_that_are_no_partition_are_named_with_their_files(sepkit, small_config, songs):
    mixtures = {path.parent.name: soundfile.read(path, dtype="float32")[0] for path in songs.glob("*/mixture.wav")}
    soundfile.write(songs / "one" / "the song.wav", mixtures["one"], RATE, subtype="FLOAT")
    rewrite(songs / "two" / "drums.wav", lambda x: x / 2)
    (songs / "four" / "mixture.wav").unlink()
    soundfile.write(songs / "four" / "everything.wav", mixtures["four"], RATE, subtype="FLOAT")
    code, findings, data = check(sepkit, small_config, songs)
    assert (code, data["usable"]) == (0, True)
    known = {(f["track"], f["file"].rpartition("/")[2]): f["text"] for f in findings if "same audio" not in f["text"]}
    assert known["one", "the song.wav"] == "it is the mixture under another name; remove it"
    assert known["two", "drums.wav"] == "the mixture holds it at +6.0 dB; export it as loud as it is there"
    assert known["four", "everything.wav"] == "it is the sum of all other stems; rename it to mixture"
    assert {track for track, _ in known} == {"one", "two", "four"}


def test_residuals_beside_the_stems_that_they_hold_are_heard_and_compared(sepkit, small_config, tmp_path):
    songs = write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums", "bass"))
    for song in ("a", "b"):
        drums, bass = (soundfile.read(songs / song / f"{stem}.wav", dtype="float32")[0] for stem in ("drums", "bass"))
        soundfile.write(
            songs / song / "instrumental.wav", drums + bass * (1 if song == "a" else 0.3), RATE, subtype="FLOAT"
        )
    code, findings, data = check(sepkit, small_config, songs)
    assert code == 0
    assert all("instrumental" in [row["stem"] for row in song["files"]] for song in data["songs"])
    assert all(song["mixture_minus_stems_db"] < -100 for song in data["songs"])
    (finding,) = findings
    assert (finding["track"], finding["file"].rpartition("/")[2]) == ("b", "instrumental.wav")
    assert "it is not the song without vocals" in finding["text"]


def test_zero_tracks_names_the_folder_and_what_was_expected(sepkit, small_config, tmp_path):
    done = sepkit("data", "check", small_config, "--data-dir", tmp_path)
    assert done.code == 1
    assert str(tmp_path) in done.err
    assert "mixture.wav" in done.err


def test_a_changed_file_is_heard_again(sepkit, small_config, songs):
    check(sepkit, small_config, songs)
    rewrite(songs / "two" / "drums.wav", lambda x: x * 0)
    assert only(check(sepkit, small_config, songs)[1], "silent throughout")["track"] == "two"


def test_where_a_file_sounds(tmp_path):
    sound = np.zeros((10 * RATE, 1), np.float32)
    sound[2 * RATE : 3 * RATE] = 0.5
    sound[6 * RATE : 6 * RATE + RATE // 4] = 0.01
    sound[8 * RATE :] = 0.0005  # below -60 dB of full scale
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    heard = listen(tmp_path / "a.wav")
    assert heard.sounding == ((4, 6), (12, 13))
    assert heard.silent_share == pytest.approx(0.85)
    assert heard.peak == 0.5


def test_listening_in_blocks_hears_what_listening_at_once_hears(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    sound = rng.uniform(-1, 1, (7 * RATE + 123, 2)) * (np.arange(7 * RATE + 123)[:, None] // 3000 % 2)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    at_once = listen(tmp_path / "a.wav")
    monkeypatch.setattr("sepkit.audio.listen.BLOCK", 1)
    assert listen(tmp_path / "a.wav") == at_once
