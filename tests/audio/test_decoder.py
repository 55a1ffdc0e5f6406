"""The decoder: good files of every kind, and bad ones that must not take this process with them."""

import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepkit.audio.probe import probe
from sepkit.audio.read import read
from sepkit.audio.tags import NO_TAGS
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError
from tests.encoded import encode

sys.path.insert(0, str(Path(__file__).parent))
from mutations import mutated

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

RATE = 44100
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 2)).astype(np.float32)
MB = 2**20


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


def decoded(decoder, path, *window):
    return np.concatenate(list(decoder.blocks(path, *window)), 1)


def noise(path, subtype="FLOAT", samples=NOISE):
    soundfile.write(path, samples, RATE, subtype=subtype)
    return path


def hanging(path):
    """Write what libsndfile steps back by what looks like a negative size in, for ever."""
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    body += b"LIST" + struct.pack("<I", 200) + b"INFOZZZZ" + struct.pack("<I", 0xFFFFFFF8) + bytes(16)
    body += b"data" + struct.pack("<I", 4) + bytes(4)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def peak(pid):
    """The most memory, in bytes, that a process has ever held."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# Good files


@pytest.mark.parametrize("ending", ["wav", "flac", "aiff", "ogg", "mp3"])
def test_it_brings_what_read_brings(decoder, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        file.title, file.artist = "Ünder", "Nobody"
        file.write(NOISE)
    header = decoder.header(path)
    assert replace(header, tags=NO_TAGS) == probe(path)
    assert (header.tags.title, header.tags.artist) == ("Ünder", "Nobody")
    blocks = list(decoder.blocks(path))
    assert [block.shape for block in blocks] == [(2, RATE), (2, RATE), (2, 100_000 - 2 * RATE)]
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, 1), read(path)[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 110_000), st.none() | st.integers(0, 110_000))
def test_a_window_is_that_part_of_the_whole(decoder, tmp_path, start, frames):
    path = tmp_path / "a.wav"
    if not path.exists():
        noise(path)
    expected = NOISE[start:] if frames is None else NOISE[start : start + frames]
    blocks = [np.empty((2, 0), np.float32), *decoder.blocks(path, start, frames)]
    np.testing.assert_array_equal(np.concatenate(blocks, 1).T, expected)


@pytest.mark.parametrize("channels", [1, 6, 64])
def test_any_number_of_channels(decoder, tmp_path, channels):
    samples = np.random.default_rng(1).uniform(-1, 1, (50_000, channels)).astype(np.float32)
    np.testing.assert_array_equal(decoded(decoder, noise(tmp_path / "a.wav", samples=samples)).T, samples)


@pytest.mark.parametrize(
    "name", [b"-", b"-i.wav", b"a\nb.wav", "🎻 é.wav".encode(), b"\xff\xfe.wav", b"x" * 251 + b".wav"]
)
def test_any_name(decoder, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    noise(tmp_path / "original.wav").rename(os.fsdecode(name))
    np.testing.assert_array_equal(decoded(decoder, Path(os.fsdecode(name))).T, NOISE)


TONE = 0.3 * np.sin(np.arange(3 * 48000) / 20)[:, None].repeat(2, 1)
OTHERS = ("m4a", "m4b", "mp4", "stem.mp4", "mov", "aac", "wma", "webm", "mkv", "mka", "oga", "opus", "caf", "au", "w64")


@pytest.mark.parametrize("ending", OTHERS)
def test_every_other_format(decoder, tmp_path, ending):
    path = encode(tmp_path / f"a.{ending}", TONE, rate=48000, tags={"title": "Ü", "artist": "Nobody"})
    header = decoder.header(path)
    assert (header.sample_rate, header.channels) == (48000, 2)
    assert abs(header.seconds - 3) < 0.1
    if ending not in ("aac", "w64"):  # which hold none
        assert (header.tags.title, header.tags.artist) == ("Ü", "Nobody")
    whole = decoded(decoder, path)
    assert whole.shape == (2, header.frames)
    assert 0.19 < np.sqrt((whole[:, 48000:96000] ** 2).mean()) < 0.23
    np.testing.assert_array_equal(decoded(decoder, path, 47_000, 60_000), whole[:, 47_000:107_000])
    assert not list(decoder.blocks(path, whole.shape[1]))
    assert replace(header, tags=NO_TAGS) == probe(path)
    np.testing.assert_array_equal(read(path)[0], whole)


@pytest.mark.parametrize("ending", ["stem.mp4", "mkv"])
def test_the_first_audio_stream_is_taken_and_pictures_are_not(decoder, tmp_path, ending):
    path = encode(tmp_path / f"a.{ending}", NOISE, NOISE / 100, picture=True)
    assert abs(decoder.header(path).seconds - 100_000 / RATE) < 0.1
    assert np.abs(decoded(decoder, path)).max() > 0.4


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16le"])
def test_samples_of_every_kind_are_of_the_same_scale(decoder, tmp_path, codec):
    path = encode(tmp_path / "a.mkv", NOISE, codec=codec)
    np.testing.assert_allclose(decoded(decoder, path).T, NOISE, atol=1 / 128 if codec == "pcm_u8" else 2**-14)


def test_a_container_without_a_length(decoder, tmp_path):
    path = encode(tmp_path / "a.webm", NOISE, rate=48000, container={"live": "1"})
    assert decoder.header(path).frames == decoded(decoder, path).shape[1] == 100_000


def test_what_is_not_finite_becomes_zero_with_one_warning(decoder, tmp_path, caplog):
    samples = NOISE.copy()
    samples[[10, 50_000], 0] = np.nan
    samples[90_000, 1] = -np.inf
    path = noise(tmp_path / "a.wav", samples=samples)
    expected = np.nan_to_num(samples, nan=0, neginf=0)
    for _ in range(2):
        np.testing.assert_array_equal(decoded(decoder, path).T, expected)
    assert caplog.messages == [f"{path}: samples that are not finite (NaN or infinity) are taken as silence"]


# Bad files


def bad_files(folder):
    for name, make, words in (
        ("missing.wav", lambda path: None, "no such file"),
        ("empty.wav", lambda path: path.touch(), "the file is empty"),
        ("folder.wav", lambda path: path.mkdir(), "a folder, not an audio file"),
        ("fifo.wav", os.mkfifo, "not a regular file"),
        ("fifo.m4a", os.mkfifo, "not a regular file"),
        ("words.mp3", lambda path: path.write_text("no music " * 99), "not readable as audio"),
        ("header.wav", lambda path: noise(path, samples=NOISE[:0]), "the file holds no samples"),
        (
            "short.wav",
            lambda path: path.write_bytes(noise(path, "PCM_16").read_bytes()[:100]),
            "truncated, holds 0.0 s",
        ),
        ("slow.wav", lambda path: soundfile.write(path, NOISE, 1), "1 Hz and 2 channels; sepkit reads"),
        ("broad.wav", lambda path: soundfile.write(path, np.zeros((9, 65)), RATE), "44100 Hz and 65 channels"),
        (f"{'x' * 300}.wav", lambda path: None, "cannot be looked up (File name too long)"),
    ):
        make(folder / name)
        yield folder / name, words


def test_each_bad_file_has_its_reason(decoder, tmp_path):
    for path, words in bad_files(tmp_path):
        for call in (decoder.header, lambda path: list(decoder.blocks(path))):
            with pytest.raises(AudioError) as caught:
                call(path)
            assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "WAVEX", "AU"])
def test_a_file_without_its_end_is_refused(decoder, tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, NOISE, RATE, format=kind, subtype="PCM_16")
    assert decoder.header(path).frames == 100_000
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(AudioError, match=r"truncated, holds 1\.1 s of 2\.3 s; fetch or export the file again"):
        decoder.header(path)


@pytest.mark.parametrize("unknown", [2**31 - 1, 2**31 - 4096, 2**32 - 1])
def test_what_a_pipe_wrote_is_whole(decoder, tmp_path, unknown):
    path = noise(tmp_path / "a.wav", "PCM_16")
    data = bytearray(path.read_bytes())
    data[40:44] = unknown.to_bytes(4, "little")
    path.write_bytes(data)
    assert decoder.header(path).frames == 100_000


def test_a_file_that_breaks_off(decoder, tmp_path):
    path = noise(tmp_path / "a.flac", "PCM_16")
    path.write_bytes(path.read_bytes()[:200_000])
    assert decoder.header(path).frames == 100_000
    with pytest.raises(AudioError, match=r"a\.flac: truncated or damaged: decoded 1\.0 s of 2\.3 s; fetch or export"):
        decoded(decoder, path)
    mp3 = noise(tmp_path / "a.mp3", None)
    mp3.write_bytes(mp3.read_bytes()[: mp3.stat().st_size // 2])
    for call in (decoder.header, probe, lambda path: decoded(decoder, path, 0, 20_000)):
        with pytest.raises(AudioError, match=r"a\.mp3: truncated, decoded 1\.\d s of 2\.3 s; fetch or export"):
            call(mp3)


def test_an_m4a_that_breaks_off(decoder, tmp_path):
    path = encode(tmp_path / "a.m4a", NOISE, container={"movflags": "+faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"a\.m4a: truncated or damaged: decoded 1\.\d s of 2\.3 s; fetch"):
        decoded(decoder, path)


def test_the_file_that_hangs_libsndfile_still_does(tmp_path):
    code = f"import soundfile; soundfile.info({str(hanging(tmp_path / 'a.wav'))!r})"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", code], timeout=2, check=False)


def test_a_file_that_hangs_is_given_up_and_the_next_is_fine(tmp_path):
    path, good = hanging(tmp_path / "a.wav"), noise(tmp_path / "good.wav")
    with Decoder(patience=0.5) as decoder:
        for call in (decoder.header, lambda path: list(decoder.blocks(path))):
            before = time.monotonic()
            with pytest.raises(AudioError, match=r"a\.wav: did not answer within 0\.5 s; it may be damaged: export it"):
                call(path)
            assert time.monotonic() - before < 10
            np.testing.assert_array_equal(decoded(decoder, good).T, NOISE)


def test_a_crash_is_an_error_and_the_next_file_is_fine(tmp_path):
    path = noise(tmp_path / "a.wav", samples=np.tile(NOISE, (20, 1)))
    with Decoder() as decoder:
        blocks = decoder.blocks(path)
        next(blocks)
        os.kill(decoder._child.pid, signal.SIGSEGV)
        with pytest.raises(
            AudioError, match=r"a\.wav: its decoder crashed \(signal 11\); it may be damaged: export it"
        ):
            list(blocks)
        assert decoded(decoder, path, 0, 100).shape == (2, 100)
        os.kill(decoder._child.pid, signal.SIGKILL)
        time.sleep(0.05)
        assert decoder.header(path).channels == 2


# Lengths that cannot be


def rf64(path, channels, data_bytes):
    form = struct.pack("<HHIIHH", 1, channels, RATE, RATE * 2 * channels & 0xFFFFFFFF, 2 * channels & 0xFFFF, 16)
    sizes = struct.pack("<QQQI", data_bytes + 100, data_bytes, data_bytes // (2 * channels), 0)
    head = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", 28) + sizes + b"fmt " + struct.pack("<I", 16) + form
    path.write_bytes(head + b"data\xff\xff\xff\xff" + bytes(4000))
    return path


def long_flac(path, rate, frames=2**36 - 1):
    """A second of sound whose STREAMINFO claims `frames`."""
    soundfile.write(path, NOISE[:rate], rate, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] |= frames >> 32 & 0xF
    data[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    return path


@linux
def test_what_a_header_claims_is_never_allocated(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with Decoder() as decoder:
        decoder.header(noise(tmp_path / "a.wav"))
        child = decoder._child.pid
        for path, words in (
            (rf64(tmp_path / "39TB.wav", 2, 39 * 10**12), r"39TB\.wav: truncated, holds 0\.0 s of \d{8}"),
            (rf64(tmp_path / "broad.wav", 65535, 39 * 10**12), "not readable|truncated|channels"),
            (long_flac(tmp_path / "1.flac", 48000), "1.flac: its header claims 398 hours, or does not know its length"),
            (
                long_flac(tmp_path / "2.flac", 48000, 2**34 - 1),
                "2.flac: truncated or damaged: decoded 0.0 s of 357913.9 s",
            ),
        ):
            with pytest.raises(AudioError, match=words):
                decoded(decoder, path)
        assert decoder._child.pid == child
        assert peak(child) < 200 * MB
    with pytest.raises(AudioError, match=r"2\.flac: truncated or damaged: decoded 0\.0 s"):
        read(tmp_path / "2.flac")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < 400 * MB


@linux
def test_a_long_song_takes_the_memory_of_a_few_blocks(tmp_path):
    path = tmp_path / "a.wav"
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for _ in range(120):
            file.write(NOISE)
    with Decoder() as decoder:
        decoded(decoder, path, 0, RATE)
        before = peak(decoder._child.pid), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        frames = sum(block.shape[1] for block in decoder.blocks(path))
        after = peak(decoder._child.pid), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert frames == 12_000_000
    assert max(np.subtract(after, before)) < 20 * MB


# The child


def test_an_iterator_that_is_dropped_leaves_nothing_behind(tmp_path):
    path, other = noise(tmp_path / "a.wav", samples=np.tile(NOISE, (20, 1))), noise(tmp_path / "b.wav")
    with Decoder() as decoder:
        for _ in decoder.blocks(path):
            break
        assert decoder._child is None
        np.testing.assert_array_equal(decoded(decoder, other).T, NOISE)
        kept = decoder.blocks(path)
        next(kept)
        assert decoder.header(other).frames == 100_000
        with pytest.raises(RuntimeError, match="ended when another file was opened"):
            next(kept)
        np.testing.assert_array_equal(decoded(decoder, other).T, NOISE)


def test_one_child_serves_all_files_and_ends_with_the_decoder(tmp_path):
    path, other = noise(tmp_path / "a.wav"), encode(tmp_path / "b.m4a", NOISE)
    with Decoder() as decoder:
        decoder.header(path)
        child = decoder._child.pid
        for damaged in ("damaged.wav", "damaged.m4a"):
            (tmp_path / damaged).write_bytes(b"no audio")
            with pytest.raises(AudioError):
                decoder.header(tmp_path / damaged)
            (tmp_path / damaged).unlink()
        decoded(decoder, other)
        decoded(decoder, path)
        assert decoder._child.pid == child
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.wav", "b.m4a"]


def test_ctrl_c_is_the_parents_business(tmp_path):
    path = noise(tmp_path / "a.wav", samples=np.tile(NOISE, (20, 1)))
    with Decoder() as decoder:
        blocks = decoder.blocks(path)
        next(blocks)
        os.kill(decoder._child.pid, signal.SIGINT)
        assert sum(block.shape[1] for block in blocks) == 2_000_000 - RATE
        assert os.getpgid(decoder._child.pid) != os.getpgid(0)


@linux
def test_a_child_that_hangs_ends_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path; from sepkit.audio.untrusted.decoder import Decoder\n"
            "decoder = Decoder(60)\n"
            "child = decoder._ready_child(Path())\n"
            "print(child.pid, flush=True)\n"
            "decoder.header(Path(sys.argv[1]))\n",
            hanging(tmp_path / "a.wav"),
        ],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.kill()
    until = time.monotonic() + 10
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_the_child_imports_no_torch_and_nothing_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert decoder.header(noise(tmp_path / "a.wav")).frames == 100_000
    code = "import sys, sepkit.audio.untrusted.decoder_process\n"
    code += "print({'torch', 'scipy', 'stempeg', 'click'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout == b"set()\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "class SoundFile:\n def __init__(self, _):\n  os.write(1, b'x' * 99)\n  raise KeyError('odd')",
            "decoding failed (KeyErr",
        ),
        (
            "class SoundFile:\n def __init__(self, _):\n  bytearray(3 * 2**30)",
            "takes more than 2 GB of memory to decode",
        ),
        ("class SoundFile:\n def __init__(self, _):\n  os._exit(3)", "its decoder crashed (exit code 3)"),
        (
            "raise ImportError('none here')",
            "not opened, for the process that decodes does not start (ImportError: none here)",
        ),
    ],
    ids=["prints", "swells", "exits", "does not start"],
)
def test_whatever_the_library_does_is_an_error_of_that_file(tmp_path, monkeypatch, code, words):
    path = noise(tmp_path / "a.wav")
    library = tmp_path / "library"
    library.mkdir()
    (library / "soundfile.py").write_text(f"import os\nclass LibsndfileError(Exception): ...\n{code}\n")
    with Decoder() as decoder:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(library)
            with pytest.raises(AudioError, match=f"^{re.escape(f'{path}: {words}')}"):
                decoder.header(path)
        decoder.close()
        assert decoder.header(path).frames == 100_000


def test_damaged_files_decode_or_are_refused(tmp_path):
    good, refused = noise(tmp_path / "good.wav"), 0
    with Decoder(patience=2) as decoder:
        for path in mutated(0, 300, tmp_path):
            try:
                decoder.header(path)
                for block in decoder.blocks(path):
                    assert np.isfinite(block).all()
            except AudioError as error:
                if not str(error).startswith(f"{path}: ") or "did not answer" in str(error):
                    raise
                refused += 1
            path.unlink()
        np.testing.assert_array_equal(decoded(decoder, good).T, NOISE)
    assert 100 < refused < 290


def test_a_library_that_hangs_in_the_middle_is_given_up(tmp_path):
    path = encode(tmp_path / "a.m4a", np.tile(NOISE, (20, 1)))
    with Decoder() as decoder:
        blocks = decoder.blocks(path)
        next(blocks)
        decoder._patience = 0.5
        os.kill(decoder._child.pid, signal.SIGSTOP)
        with pytest.raises(AudioError, match=r"a\.m4a: did not answer within 0\.5 s; it may be damaged: export it"):
            list(blocks)
        assert decoded(decoder, path, 0, 100).shape == (2, 100)
