"""Files that end too early, go on too long, or are not what their name says: heard to their end, or refused."""

import os
import shutil
from contextlib import closing

import numpy as np
import pytest
import soundfile

from sepkit.audio import info as infos
from sepkit.audio import pyav
from sepkit.audio.probe import probe
from sepkit.audio.untrusted.decoder import Decoder
from sepkit.errors import AudioError
from tests.encoded import encode

RATE = 44100
SECONDS = 5
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (SECONDS * RATE, 2)).astype(np.float32)
FRAMES = len(NOISE)


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same noise in every format, for copies."""
    folder = tmp_path_factory.mktemp("formats")
    for ending in ("wav", "flac", "mp3", "ogg"):
        soundfile.write(folder / f"a.{ending}", NOISE, RATE)
    for name in ("a.m4a", "a.aac", "a.mka", "a.wma", "a.oga", "a.opus", "a.webm"):
        rate = 48000 if name in ("a.opus", "a.webm") else RATE
        encode(folder / name, np.resize(NOISE, (SECONDS * rate, 2)), rate=rate)
    for name, codec in (("fast.m4a", "aac"), ("lossless.m4a", "alac")):
        encode(folder / name, NOISE, codec=codec, container={"movflags": "+faststart"})
    return folder


def decoded(decoder, path):
    return np.concatenate(list(decoder.blocks(path)), 1)


def cut(source, path, part):
    content = source.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def joined(path, *sources):
    path.write_bytes(b"".join(source.read_bytes() for source in sources))
    return path


# Lengths


@pytest.mark.parametrize("name", ["a.m4a", "fast.m4a", "lossless.m4a", "a.oga"])
def test_an_exact_length_is_kept_to_the_frame(decoder, folder, name):
    path = folder / name
    assert decoder.header(path).frames == decoded(decoder, path).shape[1] == FRAMES
    assert sum(block.shape[1] for block in decoder.blocks(path, FRAMES - 100)) == 100
    assert not list(decoder.blocks(path, FRAMES))


@pytest.mark.parametrize("part", [0.5, 0.94, 0.99])
@pytest.mark.parametrize("name", ["fast.m4a", "lossless.m4a", "a.mka", "a.webm", "a.wma", "a.aac"])
def test_what_pyav_reads_is_not_truncated_in_silence(decoder, folder, tmp_path, name, part):
    path = cut(folder / name, tmp_path / name, part)
    with pytest.raises(AudioError, match=rf"{name}: truncated(, | or damaged: )decoded \d\.\d s.*; fetch or export"):
        decoded(decoder, path)


def test_ten_thousand_frames_too_few_are_missed_without_any_complaint(folder):
    """A few codec frames are not: they are silence, so that the length is what was said."""
    for more in (3000, 10_000):
        with closing(pyav.PyAVSource(folder / "lossless.m4a", FRAMES + more)) as source:
            if more == 10_000:
                with pytest.raises(AudioError, match=r"lossless\.m4a: truncated, decoded 5\.0 s of 5\.2 s"):
                    list(source.blocks(0, FRAMES + more, RATE))
            else:
                whole = np.concatenate(list(source.blocks(0, FRAMES + more, RATE)))
                assert whole.shape == (FRAMES + more, 2)
                assert whole[FRAMES - 9 : FRAMES].all()
                assert not whole[FRAMES:].any()


def test_damage_within_is_told(decoder, folder, tmp_path):
    content = bytearray((folder / "fast.m4a").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    (tmp_path / "a.m4a").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.m4a: truncated or damaged: decoded [2-5]\.\d s of 5\.0 s"):
        decoded(decoder, tmp_path / "a.m4a")


def test_a_container_that_says_less_than_it_holds_fills_no_disk(decoder, folder, tmp_path):
    content = bytearray((folder / "lossless.m4a").read_bytes())
    media = content.index(b"mdhd")
    content[media + 20 : media + 24] = (2 * RATE).to_bytes(4)
    content[-100_000:] = bytes(100_000)  # what is not decoded is not complained of
    (tmp_path / "a.m4a").write_bytes(content)
    assert decoder.header(tmp_path / "a.m4a").seconds == 2
    assert decoded(decoder, tmp_path / "a.m4a").shape[1] == 2 * RATE
    content = bytearray((folder / "a.mka").read_bytes())
    duration = content.index(b"\x44\x89\x88") + 3
    content[duration : duration + 8] = np.array(2000.0, ">f8").tobytes()
    (tmp_path / "a.mka").write_bytes(content)
    assert decoder.header(tmp_path / "a.mka").seconds == pytest.approx(5, abs=0.1)
    content[duration : duration + 8] = np.array(1e9, ">f8").tobytes()
    (tmp_path / "a.mka").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.mka: truncated, decoded 5\.0 s of 1000000\.0 s"):
        decoder.header(tmp_path / "a.mka")


def test_counting_ends_at_the_longest_that_is_read(folder, monkeypatch):
    for module in (infos, pyav):
        monkeypatch.setattr(module, "LONGEST", 1.5 / 3600)
    with pytest.raises(AudioError, match=r"a\.aac: .*does not know its length; sepkit reads up to"):
        probe(folder / "a.aac")
    with closing(pyav.PyAVSource(folder / "a.aac")) as source:
        assert 1.5 * RATE < source.count(lambda: None) < 1.6 * RATE


def test_an_m4a_without_its_end_has_no_contents(decoder, folder, tmp_path):
    path = cut(folder / "a.m4a", tmp_path / "a.m4a", 0.5)
    with pytest.raises(AudioError, match=r"a\.m4a: truncated or damaged MP4: it cannot be read; fetch or export"):
        decoder.header(path)


# Ogg


@pytest.mark.parametrize("ending", ["ogg", "oga", "opus"])
@pytest.mark.parametrize(("part", "held"), [(0.5, r"[12]\.\d"), (0.99, r"[34]\.\d")])
def test_an_ogg_file_without_its_last_page(decoder, folder, tmp_path, ending, part, held):
    path = cut(folder / f"a.{ending}", tmp_path / f"a.{ending}", part)
    for call in (decoder.header, lambda path: decoded(decoder, path)):
        with pytest.raises(
            AudioError,
            match=rf"a\.{ending}: truncated or damaged, holds {held} s( of 5\.0 s)?: its last Ogg page is missing",
        ):
            call(path)


def test_an_ogg_file_that_knows_how_long_it_was(decoder, folder, tmp_path):
    path = cut(folder / "a.oga", tmp_path / "a.oga", 0.5)
    content = bytearray(path.read_bytes())
    facts = content.index(b"\x7fFLAC") + 27
    assert int.from_bytes(content[facts : facts + 3]) >> 4 == RATE
    content[facts + 4 : facts + 8] = FRAMES.to_bytes(4)
    path.write_bytes(content)
    with pytest.raises(
        AudioError, match=r"a\.oga: truncated or damaged, holds [12]\.\d s of 5\.0 s: its last Ogg page"
    ):
        decoder.header(path)


def test_an_ogg_file_cut_between_two_pages(decoder, folder, tmp_path):
    content = (folder / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(content[: content.rindex(b"OggS")])
    with pytest.raises(AudioError, match="its last Ogg page is missing"):
        decoder.header(tmp_path / "a.ogg")
    with pytest.raises(AudioError, match="its last Ogg page is missing"):
        probe(tmp_path / "a.ogg")


@pytest.mark.parametrize("ending", ["ogg", "oga", "opus"])
def test_ogg_files_one_behind_the_other(decoder, folder, tmp_path, ending):
    path = joined(tmp_path / f"b.{ending}", folder / f"a.{ending}", folder / f"a.{ending}")
    with pytest.raises(AudioError, match=rf"b\.{ending}: contains chained Ogg streams, .* split the file"):
        decoder.header(path)


def test_ogg_streams_side_by_side_are_one_file(decoder, tmp_path):
    path = encode(tmp_path / "a.oga", NOISE, NOISE / 2)
    assert decoded(decoder, path).shape[1] == FRAMES


def test_a_tag_behind_an_ogg_file_is_no_damage(decoder, folder, tmp_path):
    (tmp_path / "a.ogg").write_bytes((folder / "a.ogg").read_bytes() + b"TAG" + bytes(125))
    assert decoded(decoder, tmp_path / "a.ogg").shape[1] == FRAMES


# mp3


def test_mp3s_one_behind_the_other_are_both_heard(decoder, folder, tmp_path):
    (tmp_path / "tag").write_bytes(b"ID3\4\0\0\0\0\4\0" + bytes(512))
    path = joined(tmp_path / "b.mp3", folder / "a.mp3", tmp_path / "tag", folder / "a.mp3")
    assert 2 * FRAMES <= decoder.header(path).frames == decoded(decoder, path).shape[1] < 2 * FRAMES + 5000


@pytest.mark.parametrize("rate", [44100, 22050, 8000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_begins_in_the_middle_of_a_frame_is_heard_to_its_end(decoder, tmp_path, rate, mode):
    swells = NOISE[: 4 * rate] * np.linspace(0, 1, 4 * rate, dtype=np.float32)[:, None] ** 4
    path = tmp_path / "a.mp3"
    soundfile.write(path, swells, rate, bitrate_mode=mode, compression_level=0.2)
    content = path.read_bytes()
    for missing in (3, 500):  # a few frames are lost, and what was cut off of the first one
        path.write_bytes(content[missing:])
        info, heard = decoder.header(path), decoded(decoder, path)
        assert 4 * rate - 8 * 1152 <= info.frames == heard.shape[1] <= 4 * rate + 3 * 1152
        assert np.sqrt(np.square(heard[:, -rate // 2 :]).mean()) > 0.2


def test_what_only_looks_like_a_frame_of_an_mp3_is_none(decoder, tmp_path):
    """Of quiet samples of 24 bits, every third byte is 0 or 255, the first of a frame."""
    quiet = np.random.default_rng(242).normal(0, 10 ** (-54 / 20), (3 * RATE, 2))
    soundfile.write(tmp_path / "a.wav", quiet, RATE, "PCM_24")
    with pytest.raises(AudioError, match=r"b\.wav: truncated, holds 1\.8 s of 3\.0 s"):
        decoder.header(cut(tmp_path / "a.wav", tmp_path / "b.wav", 0.6))


APE = b"x" * 9000 + b"APETAGEX" + (2000).to_bytes(4, "little") + (9032).to_bytes(4, "little") + bytes(16)


@pytest.mark.parametrize("tags", [b"TAG" + bytes(125), APE, APE + b"TAG" + bytes(125)], ids=["ID3v1", "APE", "both"])
def test_tags_behind_an_mp3_are_no_second_one(decoder, folder, tmp_path, tags):
    path = tmp_path / "a.mp3"
    path.write_bytes((folder / "a.mp3").read_bytes() + tags)
    assert decoded(decoder, path).shape[1] == decoder.header(path).frames == FRAMES


# Names


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.wma", "a.aac", "a.opus", "a.flac", "a.oga"])
@pytest.mark.parametrize("ending", ["mp3", "wav", "ogg"])
def test_a_name_does_not_matter(decoder, folder, tmp_path, name, ending):
    path = tmp_path / f"b.{ending}"
    shutil.copy(folder / name, path)
    info = decoder.header(path)
    heard = decoded(decoder, path).shape[1]
    assert abs(heard / info.sample_rate - SECONDS) < 0.1
    assert abs(info.frames - heard) < 5000


def test_a_truncated_m4a_is_truncated_under_any_name(decoder, folder, tmp_path):
    for name, words in (("a.m4a", "truncated or damaged MP4"), ("fast.m4a", r"truncated or damaged: decoded 2\.\d s")):
        with pytest.raises(AudioError, match=rf"b\.mp3: {words}"):
            decoded(decoder, cut(folder / name, tmp_path / "b.mp3", 0.5))


@pytest.mark.parametrize("name", ["words.mp3", "words.wav", "words.ogg"])
def test_text_is_called_text(decoder, tmp_path, name):
    (tmp_path / name).write_text("<!doctype html><title>Größe</title>" * 99, encoding="utf-8")
    with pytest.raises(AudioError, match=rf"{name}: not readable as audio: it looks like text\. Readable: ") as caught:
        decoder.header(tmp_path / name)
    assert "pipe" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(decoder, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "a.wav").chmod(0)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read \(Permission denied\)"):
        decoder.header(tmp_path / "a.wav")


def test_an_aiff_file_keeps_the_artist_that_it_holds_as_id3(decoder, tmp_path):
    tags = {"artist": "Nobody", "title": "Ü"}
    path = encode(tmp_path / "a.aiff", NOISE, tags=tags, container={"write_id3v2": "1"})
    found = decoder.header(path).tags
    assert (found.artist, found.title) == ("Nobody", "Ü")
