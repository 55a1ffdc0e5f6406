"""A file's length: stated, or counted once and remembered; the same for all who ask, and what decoding brings."""

import os
import struct
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sepkit.audio import probe as probing
from sepkit.audio.probe import probe
from sepkit.audio.pyav import PyAVSource
from sepkit.audio.read import Piece, decode, read, read_sum
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError
from sepkit.track import Stream
from tests.encoded import encode, remux

RATE = 44100
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (3 * RATE, 2)).astype(np.float32)
FRAMES = len(NOISE)
MPEG = 1152
NO_ID3 = {"id3v2_version": "0"}
NO_TAG = {"write_xing": "0", **NO_ID3}
VARIABLE = {"flags": "+qscale", "global_quality": f"{3 * 118}"}


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An mp3 of a loud start and a quiet rest, and where its tag stands: a tag, and LAME's after it."""
    swells = NOISE * np.linspace(1, 0, FRAMES, dtype=np.float32)[:, None] ** 4
    content = encode(tmp_path_factory.mktemp("mp3") / "a.mp3", swells, container=NO_ID3, **VARIABLE).read_bytes()
    return content, content.index(b"Xing")


def agree(decoder, path):
    """Return the length on which all who ask agree, and the samples [channel, time] that all bring."""
    info = decoder.header(path)
    samples = np.concatenate(list(decoder.blocks(path)), 1)
    assert (probe(path).frames, samples.shape[1]) == (info.frames, info.frames)
    np.testing.assert_array_equal(read(path)[0], samples)
    for start in (0, 1, MPEG, FRAMES // 2, info.frames - 1001):
        np.testing.assert_array_equal(decode(path, probe(path), start, 1001), samples[:, start : start + 1001])
    return samples


def counted_as(count, content, at):
    return content[: at + 8] + struct.pack(">I", count) + content[at + 12 :]


DAMAGES = {
    "zero": lambda content, at: counted_as(0, content, at),
    "one too many": lambda content, at: counted_as(struct.unpack_from(">I", content, at + 8)[0] + 1, content, at),
    "one too few": lambda content, at: counted_as(struct.unpack_from(">I", content, at + 8)[0] - 1, content, at),
    "empty": lambda content, at: content[:at] + b"Xing" + bytes(116) + content[at + 120 :],
    "no LAME": lambda content, at: content[: at + 120] + bytes(36) + content[at + 156 :],
    "torn": lambda content, at: content[:-20],
    "cut": lambda content, at: content[:-300],
    "no tag frame": lambda content, at: content[content.index(content[:2], 100) :],
    "begins late": lambda content, at: content[at + 500 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_mp3_whose_tag_is_wrong_is_heard_whole(decoder, whole, tmp_path, damage):
    path = tmp_path / "a.mp3"
    path.write_bytes(DAMAGES[damage](*whole))
    assert abs(agree(decoder, path).shape[1] - FRAMES) <= 3 * MPEG


@pytest.mark.parametrize("bitrate", ["32k", "320k"])
@pytest.mark.parametrize("rate", [44100, 16000])
def test_an_mp3_without_a_tag_is_heard_whole(decoder, tmp_path, rate, bitrate):
    path = encode(tmp_path / "a.mp3", NOISE, rate=rate, container=NO_TAG, b=bitrate)
    assert FRAMES <= agree(decoder, path).shape[1] <= FRAMES + 3 * MPEG


def test_libsndfile_still_guesses(whole, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(DAMAGES["zero"](*whole))
    assert soundfile.info(path).frames < FRAMES * 0.9


def test_two_mp3s_in_one_file_are_both_heard(decoder, whole, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(whole[0] * 2)
    assert 2 * FRAMES <= agree(decoder, path).shape[1] <= 2 * FRAMES + 5 * MPEG


@pytest.mark.parametrize("ending", ["mp2", "mp3", "wav"])
def test_other_layers_and_mp3_in_wav_are_whole(decoder, tmp_path, ending):
    if ending == "wav":
        path = encode(tmp_path / "a.wav", NOISE, codec="libmp3lame", b="192k")
    else:
        path = encode(tmp_path / "a.mp2", NOISE, b="192k").rename(tmp_path / f"a.{ending}")
    assert FRAMES <= agree(decoder, path).shape[1] <= FRAMES + 3 * MPEG


@pytest.mark.parametrize("ending", ["flac", "oga"])
def test_flac_from_a_pipe(decoder, tmp_path, ending):
    """Its head says 0 samples, which means unknown."""
    path = encode(tmp_path / f"a.{ending}", NOISE, codec="flac")
    content = bytearray(path.read_bytes())
    start = content.index(b"fLaC") + 8
    content[start + 13] &= 0xF0
    content[start + 14 : start + 18] = bytes(4)
    if ending == "flac":
        path.write_bytes(content)
    assert agree(decoder, path).shape[1] == FRAMES


def test_a_length_is_counted_once_and_again_when_the_file_has_changed(whole, tmp_path, monkeypatch):
    path, counts = tmp_path / "a.mp3", []
    count = PyAVSource.count
    monkeypatch.setattr(PyAVSource, "count", lambda self, alive: counts.append(1) or count(self, alive))
    path.write_bytes(DAMAGES["zero"](*whole))
    first = probe(path)
    assert probe(path) == first
    with Decoder() as decoder:
        assert decoder.header(path).frames == first.frames
    assert len(counts) == 1
    path.write_bytes(DAMAGES["zero"](*whole) + whole[0])
    assert probe(path).frames > 1.9 * first.frames
    assert len(counts) == 2


def test_what_the_child_has_counted_is_known_here(whole, tmp_path, monkeypatch):
    (tmp_path / "a.mp3").write_bytes(DAMAGES["zero"](*whole))
    with Decoder() as decoder:
        frames = decoder.header(tmp_path / "a.mp3").frames
    monkeypatch.setattr(probing, "_counted", lambda file: pytest.fail("counted again"))
    assert probe(tmp_path / "a.mp3").frames == frames


def test_counting_gives_a_sign_of_life_for_every_second(tmp_path):
    """Else the child that counts a long file would be given up."""
    calls = []
    with closing(PyAVSource(encode(tmp_path / "a.aac", NOISE))) as source:
        assert source.count(lambda: calls.append(1)) > FRAMES
    assert len(calls) >= 2


def test_to_skip_is_a_sign_of_life(tmp_path):
    path = encode(tmp_path / "a.mkv", NOISE)
    with closing(PyAVSource(path, FRAMES)) as source:
        blocks = list(source.blocks(2 * RATE, 100, RATE))
    assert [len(block) for block in blocks if len(block)] == [100]
    assert len(blocks) > 10


# Gaps


def later(after, by):
    return lambda seconds: by if seconds >= after else 0


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "flac"), ("a.mka", "aac"), ("a.webm", "libopus"), ("a.mp4", "aac"), ("a.mov", "alac"), ("a.m4a", "aac")],
)
def test_gaps_are_filled_with_silence_and_said_once(decoder, tmp_path, caplog, name, codec):
    gap = 2.0 if name in ("a.mkv", "a.m4a") else 0.3
    rate = 48000 if codec == "libopus" else RATE
    exact = {"aac_pns": "0"} if codec == "aac" else {}
    closed = encode(tmp_path / f"closed-{name}", NOISE, rate=rate, codec=codec, **exact)
    path = remux(closed, tmp_path / name, later(2, gap))
    before = decoder.header(closed).frames
    caplog.clear()
    samples = agree(decoder, path)
    assert samples.shape[1] == pytest.approx(before + gap * rate, abs=1500)
    silent = np.flatnonzero(~samples.any(0))
    assert len(silent) == pytest.approx(gap * rate, abs=1500)
    assert 2 * rate - 5000 < silent[0] < 2 * rate + 5000
    said = f"{path}: gaps in its timestamps, {gap:.1f} s in all, are filled with silence"
    assert [message for message in caplog.messages if message == said]
    caplog.clear()
    list(decoder.blocks(path))
    assert caplog.messages == []


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "flac"), ("a.mp4", "alac")])
def test_sound_that_begins_later_than_its_film_stays_in_step_and_whole(decoder, tmp_path, name, codec):
    film = encode(tmp_path / f"film-{name}", NOISE, codec=codec, picture=True)
    path = remux(film, tmp_path / name, lambda seconds: 1.5, every=True)
    samples = agree(decoder, path)
    assert samples.shape[1] == pytest.approx(FRAMES + 1.5 * RATE, abs=50)
    assert np.flatnonzero(samples.any(0))[0] == pytest.approx(1.5 * RATE, abs=50)
    np.testing.assert_allclose(samples[:, -RATE:].T, NOISE[-RATE:], atol=2**-14)


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "flac"), ("a.mp4", "alac")])
def test_sound_alone_begins_at_once_whatever_its_first_timestamp(decoder, tmp_path, name, codec):
    path = remux(encode(tmp_path / f"b-{name}", NOISE, codec=codec), tmp_path / name, lambda seconds: 3600)
    np.testing.assert_allclose(agree(decoder, path).T, NOISE, atol=2**-14)


def test_milliseconds_are_no_gaps(decoder, tmp_path, caplog):
    jitter = np.random.default_rng(0)
    closed = encode(tmp_path / "closed.mkv", NOISE)
    path = remux(closed, tmp_path / "a.mkv", lambda seconds: jitter.uniform(0, 0.02))
    np.testing.assert_array_equal(agree(decoder, path), agree(decoder, closed))
    assert caplog.messages == []


def test_a_timestamp_that_jumps_beyond_all_bounds_is_damage(decoder, tmp_path):
    path = remux(encode(tmp_path / "closed.mkv", NOISE), tmp_path / "a.mkv", later(2, 7200))
    with pytest.raises(AudioError, match=r"a\.mkv: truncated or damaged: decoded [12]\.\d s"):
        decoder.header(path)


# Streams


@pytest.mark.parametrize("name", ["a.mkv", "a.mov", "a.mp4", "a.mka"])
def test_the_length_of_a_stream_does_not_depend_on_the_container(tmp_path, name):
    path = encode(tmp_path / name, NOISE, NOISE / 2, codec="alac")
    for number in (0, 1):
        assert probe(Stream(path, number)).frames == FRAMES
        np.testing.assert_allclose(read(Stream(path, number))[0].T, NOISE / (number + 1), atol=2**-15)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mka"])
def test_a_part_of_a_stream_is_that_part_of_the_whole(tmp_path, name):
    path = encode(tmp_path / name, NOISE / 3, NOISE, codec="aac", aac_pns="0", b="256k")
    stream = Stream(path, 1)
    whole, rate = read(stream)
    piece = Piece(stream, probe(stream))
    for start in (0, 1, 333, 1023, 1024, 8191, 8192, 8193, 9217, 44101, 99_999, 131_071, whole.shape[1] - 1001):
        np.testing.assert_array_equal(read_sum([piece], rate, 2, start, 1001), whole[:, start : start + 1001])


def test_a_stream_that_is_not_there(tmp_path):
    path = encode(tmp_path / "a.mkv", NOISE[:RATE])
    with pytest.raises(AudioError, match=r"a\.mkv: no audio stream 1; it has 1, counted from 0"):
        probe(Stream(path, 1))


def test_a_film_without_sound(decoder, tmp_path):
    path = encode(tmp_path / "a.mp4", picture=True)
    with pytest.raises(AudioError, match=r"a\.mp4: the file holds no audio stream; give another"):
        decoder.header(path)


# What a file may reach


def referring(path, song):
    """A QuickTime file whose track says that its samples lie in another file."""
    content = encode(path, NOISE[:RATE], codec="pcm_s16le").read_bytes()
    url = b"url " + bytes(4) + os.fsencode(f"file://{song}") + b"\0"
    box = (4 + len(url)).to_bytes(4) + url
    at = content.index(b"dref") + 12
    old = int.from_bytes(content[at : at + 4])
    changed = bytearray(content[:at] + box + content[at + old :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        size = changed.rindex(kind) - 4
        changed[size : size + 4] = (int.from_bytes(changed[size : size + 4]) + len(box) - old).to_bytes(4)
    path.write_bytes(changed)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m4a", "ffconcat version 1.0\nfile song.aac\n"),
        ("list.mp3", "ffconcat version 1.0\nfile song.aac\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsong.aac\n#EXT-X-ENDLIST\n"),
        ("list.mkv", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.aac\n#EXT-X-ENDLIST\n"),
        ("list.aac", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
        ("words.wma", "no music" * 99),
    ],
)
def test_no_other_file_and_no_address_is_read(decoder, tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "song.aac", NOISE[:RATE])
    (tmp_path / name).write_text(content)
    for call in (decoder.header, probe):
        with pytest.raises(AudioError, match=f"{name}: not readable as audio: it looks like text. Readable: "):
            call(tmp_path / name)


def test_a_movie_that_refers_to_another_file_is_not_followed(tmp_path):
    song = encode(tmp_path / "song.mov", NOISE, codec="pcm_s16le")
    path = referring(tmp_path / "a.mov", song)
    with av.open(path, options={"enable_drefs": "1", "use_absolute_path": "1"}) as followed:
        assert b"".join(bytes(packet) for packet in followed.demux(audio=0)) != b""
    song.unlink()  # would be missed
    assert probe(path).frames == RATE
    assert read(path)[0].any()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_no_file_stays_open_when_the_second_library_fails(tmp_path, monkeypatch):
    def fail(_):
        raise AudioError("broken")

    path = tmp_path / "song.mp3"
    soundfile.write(path, NOISE, RATE)
    monkeypatch.setattr(PyAVSource, "packets", fail)
    with pytest.raises(AudioError, match="broken") as caught:
        probe(path)
    assert str(path) not in {os.path.realpath(handle) for handle in Path("/proc/self/fd").iterdir()}, caught
