"""The page as a file: whole, within its limit, without a way out, and safe from what songs are called."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from sepkit.errors import ConfigError
from sepkit.report import Limits, PageContent, ScoreColumn, ScoreRow, SongSection, page_section, write_report
from tests.report.songs import song

HOSTILE = "</script><img src=x onerror=alert(1)><!--songs--> & \"quotes\" 'too' \u2028"


class Reader(HTMLParser):
    """Collects the elements, and the text of scripts and styles, as a browser sees them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.data, self._in = [], {"script": [], "style": []}, {}, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = (tag, dict(attrs).get("id"))

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, text):
        tag, name = self._in or (None, None)
        if tag == "script" and name:
            self.data[name] = json.loads(text)
        elif tag in self.texts:
            self.texts[tag].append(text)


def written(tmp_path, report, limits=None):
    path = tmp_path / "report.html"
    write_report(path, report, limits)
    return path.read_text(encoding="utf-8")


def test_names_stay_text(tmp_path):
    report = PageContent(
        HOSTILE,
        facts=((HOSTILE, HOSTILE),),
        columns=(ScoreColumn("model", HOSTILE),),
        rows=(ScoreRow(HOSTILE, HOSTILE, (None,), (HOSTILE,)),),
        failed=((HOSTILE, HOSTILE),),
        sections=(page_section(song(HOSTILE, 1.0), Limits()),),
    )
    page = Reader(written(tmp_path, report))
    assert "img" not in [tag for tag, _ in page.tags]
    assert page.data["report"]["rows"][0]["track"] == HOSTILE
    assert page.data["song-0"]["name"] == HOSTILE


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    html = written(tmp_path, PageContent("title", sections=(page_section(song(seconds=1.0), Limits()),)))
    page = Reader(html)
    assert set(re.findall(r"https?://[^\s\"']*", html)) == {"http://www.w3.org/2000/svg"}
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    for text in page.texts["script"] + page.texts["style"]:
        assert b64encode(sha256(text.encode()).digest()).decode() in policy


def test_all_its_parts_are_in_the_package():
    names = {part.name for part in files("sepkit.report").joinpath("assets").iterdir()}
    assert {"report.html", "report.css", "report.js"} <= names


def test_songs_beyond_the_limit_keep_their_names(tmp_path):
    sections = tuple(
        SongSection(f"song {i}", json.dumps({"name": f"song {i}", "whole": "x" * 40_000})) for i in range(20)
    )
    limits = Limits(page_bytes=500_000)
    html = written(tmp_path, PageContent("title", sections=sections), limits)
    assert 400_000 < len(html.encode()) <= limits.page_bytes
    songs = [Reader(html).data[f"song-{i}"] for i in range(20)]
    assert [found["name"] for found in songs] == [f"song {i}" for i in range(20)]
    assert 0 < sum("whole" in found for found in songs) < 20


def test_numbers_that_json_has_no_word_for(tmp_path):
    nan, inf = float("nan"), float("inf")
    rows = tuple(ScoreRow(track, "b", (score, None)) for track, score in zip("abcd", (1.0, nan, 3.0, inf), strict=True))
    columns = (ScoreColumn("model", "sdr", "dB"), ScoreColumn("mixture", "sdr", "dB"))
    found = Reader(written(tmp_path, PageContent("title", columns=columns, rows=rows))).data["report"]
    assert found["rows"][1]["values"] == [None, None]
    (plot,) = found["distributions"]
    assert (plot["name"], plot["unit"], plot["tracks"]) == ("sdr of b", "dB", ["a", "c"])
    model, mixture = plot["groups"]
    assert model == {"label": "model", "values": [1.0, 3.0], "quartiles": [1.5, 2.0, 2.5]}
    assert mixture["quartiles"] is None


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"report\.html: cannot be written .* give another folder"):
        write_report(tmp_path / "file" / "report.html", PageContent("title"))


def test_an_error_leaves_the_page_of_before(tmp_path):
    before = written(tmp_path, PageContent("before"))
    with pytest.raises(ValueError, match="Out of range float values"):
        write_report(tmp_path / "report.html", PageContent("after"), Limits(page_bytes=float("nan")))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
