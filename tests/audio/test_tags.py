"""Tags in old encodings: read as they were meant, or left out; never signs that stand for nothing."""

import numpy as np
import pytest
import soundfile

from sepkit.audio.tags import NO_TAGS, Tags, legible
from sepkit.audio.untrusted.decoder import Decoder
from tests.encoded import encode

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (9000, 2)).astype(np.float32)

MEANT = [
    ("아이유", "cp949"),
    ("밤편지 (IU)", "cp949"),
    ("방탄소년단 BTS - 봄날", "cp949"),
    ("비", "cp949"),
    ("宇多田ヒカル", "cp932"),
    ("東京事変", "cp932"),
    ("さくら", "cp932"),
    ("サザン TSUNAMI", "cp932"),
    ("Café del Mar", "cp1252"),
    ("Motörhead", "cp1252"),
    ("Sigur Rós \u2013 Ágætis", "cp1252"),
    ("rock\u2019n\u2019roll", "cp1252"),
    ("Ünder", "utf-8"),
    ("보컬", "utf-8"),
]
UNKNOWN = [("周杰伦", "gb2312"), ("Виктор Цой", "cp1251"), ("Ελλάδα", "cp1253"), ("“Hi”", "cp1252")]


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An mp3 and a wav without any tags."""
    folder = tmp_path_factory.mktemp("plain")
    mp3 = encode(folder / "a.mp3", NOISE, container={"id3v2_version": "0"}).read_bytes()
    soundfile.write(folder / "a.wav", NOISE, 44100)
    return {"mp3": mp3, "wav": (folder / "a.wav").read_bytes()}


def id3v1(content, title, artist):
    return content + b"TAG" + title[:30].ljust(30, b"\0") + artist[:30].ljust(30, b"\0") + bytes(65)


def id3v2(content, title, artist):
    """In frames that claim to be Latin-1."""
    frames = b""
    for kind, text in ((b"TIT2", title), (b"TPE1", artist)):
        frames += kind + (1 + len(text)).to_bytes(4) + b"\0\0" + b"\0" + text
    return b"ID3\3\0\0" + bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames + content


def riff_info(content, title, artist):
    chunks = b"INFO"
    for kind, text in ((b"INAM", title), (b"IART", artist)):
        padded = text + bytes(2 - len(text) % 2)
        chunks += kind + len(padded).to_bytes(4, "little") + padded
    whole = content + b"LIST" + len(chunks).to_bytes(4, "little") + chunks
    return whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:]


WAYS = {"id3v1": ("mp3", id3v1), "id3v2": ("mp3", id3v2), "riff": ("wav", riff_info)}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_known_is_read_and_what_is_not_is_left_out(decoder, plain, tmp_path, way):
    ending, write = WAYS[way]
    for number, (text, encoding) in enumerate(MEANT + UNKNOWN):
        path, raw = tmp_path / f"{number}.{ending}", text.encode(encoding)
        path.write_bytes(write(plain[ending], raw, raw))
        found = decoder.header(path).tags
        if (text, encoding) in MEANT:
            assert (found.title, found.artist) == (text, text)
        else:
            assert "\ufffd" not in found.title + found.artist
            assert way == "id3v2" or (found.title, found.artist) == ("", "")


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_id3v1_cuts_characters_into_pieces(decoder, plain, tmp_path, encoding):
    title = "아주 긴 노래 제목은 서른 바이트보다 길다 정말로"
    (tmp_path / "a.mp3").write_bytes(id3v1(plain["mp3"], title.encode(encoding), b"IU"))
    found = decoder.header(tmp_path / "a.mp3").tags
    assert found.title
    assert title.startswith(found.title)
    assert found.artist == "IU"


@pytest.mark.parametrize("text", ["", "plain", "Beyoncé", "ÄÄNI", "MÖÖN", "日本 é", "Ñandú", "naïve café"])
def test_text_that_needs_no_help_stays(text):
    assert legible(text) == text


def test_signs_that_stand_for_nothing_are_left_out():
    assert legible("a\ufffdb") == ""


def test_no_tags_are_empty(decoder, plain, tmp_path):
    (tmp_path / "a.wav").write_bytes(plain["wav"])
    assert decoder.header(tmp_path / "a.wav").tags == NO_TAGS == Tags("", "", "")


def test_a_folder_is_named_in_korean(sepkit, small_model, plain, tmp_path):
    song = tmp_path / "song.mp3"
    song.write_bytes(id3v1(plain["mp3"], "밤편지".encode("cp949"), "아이유".encode("cp949")))
    template = "{artist}/{title}/{stem}"
    done = sepkit("separate", song, "-m", small_model, "-o", tmp_path / "out", "--template", template, "--json")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "out" / "아이유" / "밤편지").iterdir()} == {
        "vocals.wav",
        "accompaniment.wav",
    }
