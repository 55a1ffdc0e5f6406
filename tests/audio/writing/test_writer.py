"""Writing: exact quantisation, whole files, equal bytes, and clear words where it cannot be."""

import resource
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sepkit.audio.probe import probe
from sepkit.audio.tags import Tags
from sepkit.audio.writing import encoding as encodings
from sepkit.audio.writing.encoding import Encoding
from sepkit.audio.writing.ogg import checksum
from sepkit.audio.writing.writer import Writer, write_wav
from sepkit.errors import AudioError, ConfigError

SAMPLES = np.random.default_rng(0).uniform(-1, 1, (2, 3000)).astype(np.float32)
EXACT = [Encoding(name, depth) for name in ("wav", "flac", "aiff") for depth in ("16", "24")]
FLOATS = [Encoding("wav", "float"), Encoding("aiff", "float")]
LOSSY = [Encoding("mp3"), Encoding("ogg")]
EVERY = [*EXACT, *FLOATS, *LOSSY]
KOREAN = Tags(title="아주 긴 노래 제목, 서른 바이트보다 길다 🎵", artist="가수 Ünïcode", comment="설명 = 둘\n셋")


def named(encoding):
    return f"{encoding.format} {encoding.bit_depth or ''}".strip()


def write(path, encoding, samples=SAMPLES, rate=44100, tags=None, block=700):
    with Writer(path, encoding, rate, *samples.shape, tags or Tags()) as writer:
        for start in range(0, samples.shape[1], block):
            writer.write(samples[:, start : start + block])
    return path


def back(path):
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.T


def tones(channels, frames, rate):
    time = np.arange(frames) / rate
    pitches = rate * np.array([[0.02, 0.031], [0.027, 0.05]])[:channels]
    return (0.3 * np.sin(2 * np.pi * pitches[..., None] * time).sum(1)).astype(np.float32)


@pytest.mark.parametrize("encoding", EXACT, ids=named)
def test_integers_are_the_nearest_step_and_clip(tmp_path, encoding):
    samples = np.concatenate([SAMPLES, [[1.5, -1.5, 1.0, -1.0], [0, 0, 0, 0]]], 1, dtype=np.float32)
    full = 2.0 ** (int(encoding.bit_depth) - 1)
    wanted = np.rint(samples.astype(np.float64) * full).clip(-full, full - 1) / full
    np.testing.assert_array_equal(back(write(tmp_path / "a", encoding, samples)), wanted)


@pytest.mark.parametrize("encoding", FLOATS, ids=named)
def test_floats_keep_every_value(tmp_path, encoding):
    np.testing.assert_array_equal(back(write(tmp_path / "a", encoding, SAMPLES * 3)), SAMPLES * 3)


def test_a_stem_of_an_mp4_is_raw_and_unclipped(tmp_path):
    path = write(tmp_path / "raw", Encoding("stem.mp4"), SAMPLES * 3, tags=KOREAN)
    np.testing.assert_array_equal(np.fromfile(path, "<f4").reshape(-1, 2).T, SAMPLES * 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), depth=st.sampled_from(["16", "24"]))
def test_stems_on_the_steps_add_up_to_the_mixture(tmp_path, data, depth):
    full = 2 ** (int(depth) - 1)
    stems = data.draw(arrays(np.int32, (2, 20), elements=st.integers(-full // 2, full // 2 - 1))) / np.float32(full)
    stems = stems.astype(np.float32)
    first, second, mixture = (
        back(write(tmp_path / "a", Encoding("wav", depth), samples[None])) for samples in (*stems, stems.sum(0))
    )
    np.testing.assert_array_equal(first + second, mixture)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("encoding", "rates"), [(LOSSY[0], encodings.mp3.SAMPLE_RATES), (LOSSY[1], (8000, 200_000))])
def test_lossy_files_keep_length_place_and_sound(tmp_path, encoding, rates, channels):
    for rate in rates:
        for frames in (1, 576, 1153, 20_001):
            samples = tones(channels, frames, rate)
            decoded = back(write(tmp_path / "a", encoding, samples, rate))
            assert decoded.shape == samples.shape
        assert np.corrcoef(decoded.ravel(), samples.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("encoding", LOSSY, ids=named)
def test_lossy_files_hold_nothing_beyond_full_scale(tmp_path, encoding):
    loud = tones(2, 20_000, 44100)
    decoded = [back(write(tmp_path / "a", encoding, samples)) for samples in ((9 * loud), (9 * loud).clip(-1, 1))]
    np.testing.assert_array_equal(*decoded)


@pytest.mark.parametrize("encoding", EVERY, ids=named)
def test_the_same_samples_give_the_same_bytes_however_they_are_cut(tmp_path, encoding):
    samples = tones(2, 40_000, 44100)
    first = write(tmp_path / "a", encoding, samples, tags=KOREAN, block=10**6).read_bytes()
    assert write(tmp_path / "b", encoding, samples, tags=KOREAN).read_bytes() == first
    assert b"PEAK" not in first[:1000]


def test_ogg_pages_have_one_serial_number_and_right_checksums(tmp_path):
    content = bytearray(write(tmp_path / "a", Encoding("ogg"), SAMPLES, tags=KOREAN).read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    assert len(starts) > 2
    for start, stop in zip(starts, [*starts[1:], len(content)], strict=True):
        page = content[start:stop]
        assert page[14:18] == bytes(4)
        found = int.from_bytes(page[22:26], "little")
        page[22:26] = bytes(4)
        assert checksum(page) == found


@pytest.mark.parametrize("encoding", EVERY, ids=named)
@pytest.mark.parametrize("tags", [KOREAN, Tags(title="One"), Tags(comment="Three"), Tags()], ids=repr)
def test_tags_come_back(tmp_path, encoding, tags):
    path = write(tmp_path / "a", encoding, tags=tags)
    with soundfile.SoundFile(path) as sound:
        assert Tags(sound.title, sound.artist, sound.comment) == tags
    assert probe(path).frames == SAMPLES.shape[1]


@pytest.mark.parametrize("encoding", EVERY, ids=named)
def test_long_tags_do_no_harm(tmp_path, encoding):
    path = write(tmp_path / "a", encoding, tags=Tags("제목" * 50_000, "x" * 100_000, "설명" * 100_000))
    with soundfile.SoundFile(path) as sound:
        for found, start in ((sound.title, "제목" * 100), (sound.artist, "xxx"), (sound.comment, "설명" * 100)):
            assert found.startswith(start)
        assert sound.frames == SAMPLES.shape[1]


@pytest.mark.parametrize("encoding", [Encoding(name) for name in ("wav", "flac", "mp3", "ogg")], ids=named)
def test_other_programs_read_the_tags(tmp_path, encoding):
    path = write(tmp_path / f"a.{encoding.format}", encoding, tags=KOREAN)
    with av.open(path) as file:
        found = {key.lower(): text for key, text in (file.metadata | file.streams[0].metadata).items()}
    assert Tags(*(found[key] for key in Tags.__slots__)) == KOREAN


def test_a_large_block_is_cut_up(tmp_path):
    """Vorbis' encoder would overflow the stack, here one as small as some threads have."""
    path = tmp_path / "a.ogg"
    thread = Thread(target=write, args=(path, Encoding("ogg"), np.zeros((1, 3_000_000), np.float32)))
    thread.start()
    thread.join()
    assert probe(path).frames == 3_000_000


@pytest.mark.parametrize("depth", ["16", "24", "float"])
def test_a_wav_too_large_for_32_bits_is_an_rf64(tmp_path, monkeypatch, depth):
    size = SAMPLES.size * {"16": 2, "24": 3, "float": 4}[depth]
    for limit, container in ((size, "WAV"), (size - 1, "RF64")):
        monkeypatch.setattr(encodings, "FOUR_GB", limit)
        path = write(tmp_path / "a.wav", Encoding("wav", depth), tags=KOREAN)
        assert soundfile.info(path).format == container
        assert probe(path).frames == SAMPLES.shape[1]
        assert np.abs(back(path) - SAMPLES).max() <= 2**-15


@pytest.mark.parametrize(
    ("encoding", "rate", "channels", "frames", "words"),
    [
        (
            Encoding("mp3"),
            192_000,
            6,
            1,
            r"x: mp3 holds 1 or 2 channels at 8000, .* or 48000 Hz, not 6 at 192000 Hz; wr",
        ),
        (Encoding("mp3"), 44_101, 2, 1, "44101 Hz; write flac or wav"),
        (Encoding("flac"), 96_001, 2, 1, r"flac holds 1 to 8 channels at up to 65535 Hz, or .* by 10, .*; write wav"),
        (Encoding("flac"), 44_100, 9, 1, "not 9 at 44100 Hz; write wav"),
        (Encoding("ogg"), 200_001, 2, 1, "up to 200000 Hz, not 2 at 200001 Hz; write wav"),
        (Encoding("ogg"), 44_100, 6, 1, "ogg holds 1 or 2 channels"),
        (Encoding("stem.mp4"), 44_100, 3, 1, "stem.mp4 holds 1 or 2 channels"),
        (Encoding("stem.mp4"), 192_000, 2, 1, "or 96000 Hz, not 2 at 192000 Hz; write flac or wav"),
        (Encoding("aiff", "24"), 44_100, 2, 10**9, r"aiff holds 4 GB, and this is 5\.6 GB; write wav or flac"),
        (Encoding("wav"), 44_100, 65, 1, "wav holds 1 to 64 channels at up to 384000 Hz, not 65 at 44100 Hz$"),
    ],
)
def test_what_a_format_cannot_hold_is_said_beforehand(tmp_path, encoding, rate, channels, frames, words):
    with pytest.raises(AudioError, match=words):
        encoding.check(tmp_path / "x", rate, channels, frames)
    with pytest.raises(AudioError, match=words):
        Writer(tmp_path / "x", encoding, rate, channels, frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", [*EVERY, Encoding("stem.mp4")], ids=named)
def test_what_passes_the_check_is_written(tmp_path, encoding):
    tried = 0
    for rate in (1000, 8000, 44_100, 65_535, 96_000, 96_001, 200_000, 384_000):
        for channels in (1, 2, 8, 64):
            samples = np.zeros((channels, 10), np.float32)
            try:
                encoding.check(tmp_path / "a", rate, channels, 10)
            except AudioError:
                continue
            tried += 1
            assert write(tmp_path / "a", encoding, samples, rate).stat().st_size > 0
            assert encoding.format == "stem.mp4" or probe(tmp_path / "a").channels == channels
    assert tried >= 4


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("flac", "float", "flac with bit depth float: flac holds 16, 24"),
        ("mp3", "24", "mp3 with bit depth 24: mp3 has no bit depth"),
        ("m4a", None, "format m4a: .* give one of wav, flac, mp3, ogg, aiff, stem.mp4"),
    ],
)
def test_an_encoding_that_is_none(name, depth, words):
    with pytest.raises(ConfigError, match=words):
        Encoding(name, depth)


def test_all_but_floats_would_clip():
    assert {named(encoding) for encoding in EVERY if not encoding.scales} == {"wav float", "aiff float"}
    assert Encoding("stem.mp4").scales
    assert Encoding().depth == "16"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("frames", [300, 30_000])
@pytest.mark.parametrize("encoding", [*EVERY, Encoding("stem.mp4")], ids=named)
def test_a_full_disk_is_named(tmp_path, capfd, encoding, frames):
    """With few frames some encoders write nothing before the end."""
    samples, song = tones(2, frames, 44100), tmp_path / "song"
    with (
        pytest.raises(AudioError, match=r"song: cannot be written \(No space left on device\)"),
        Writer(Path("/dev/full"), encoding, 44100, 2, frames, name=song) as writer,
    ):
        writer.write(samples)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("encoding", [*EVERY, Encoding("stem.mp4")], ids=named)
def test_a_file_that_cannot_grow_further_is_named(tmp_path, capfd, encoding, share):
    """In the middle, or by a single byte, which some encoders write when they are closed."""
    samples = np.tile(SAMPLES, 10)
    size = write(tmp_path / "whole", encoding, samples).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (round(share * size) - 1, limits[1]))
    try:
        with pytest.raises(AudioError, match=r"a: cannot be written \(File too large\)"):
            write(tmp_path / "a", encoding, samples)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capfd.readouterr().err == ""


def test_a_failing_flush_is_an_error(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(AudioError, match=r"a: cannot be written \(Input/output error\)"):
        write(tmp_path / "a", Encoding("flac"))


def test_an_error_in_the_block_is_the_one_that_is_seen(tmp_path):
    with pytest.raises(KeyError), Writer(tmp_path / "a", Encoding("ogg"), 44100, 2, 3000) as writer:  # noqa: PT012
        writer.write(SAMPLES[:, :100])
        raise KeyError


@pytest.mark.parametrize(("announced", "words"), [(3001, "a: 1 frames too few"), (2990, "a: 10 frames too many")])
def test_a_length_other_than_announced_is_an_error(tmp_path, announced, words):
    with (
        pytest.raises(AudioError, match=words),
        Writer(tmp_path / "a", Encoding("flac"), 44100, 2, announced) as writer,
    ):
        writer.write(SAMPLES)


def test_16_bit_samples_pass_unchanged(tmp_path):
    steps = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "in.wav", steps, 8000)
    write_wav(tmp_path / "out.wav", soundfile.read(tmp_path / "in.wav", dtype="float32")[0][None], 8000)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav", dtype="int16")[0], steps)


def test_write_wav_makes_folders_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "deep" / "er" / "a.wav"
    write_wav(path, SAMPLES, 22050, "float")
    np.testing.assert_array_equal(back(path), SAMPLES)
    assert [found.name for found in path.parent.iterdir()] == ["a.wav"]


def test_a_folder_that_is_a_file_is_an_audio_error(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(AudioError, match="cannot be written"):
        write_wav(tmp_path / "f" / "a.wav", SAMPLES, 8000)
    with pytest.raises(AudioError, match=r"f/a\.wav: cannot be written \(Not a directory\)"):
        Writer(tmp_path / "f" / "a.wav", Encoding(), 8000, 2, 1)
