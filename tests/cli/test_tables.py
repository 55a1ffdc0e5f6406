"""The tables of all verbs: on a pipe no name is cut or broken, on a terminal of 80 columns none that can be helped."""

import json
import re

import pytest

from tests.conftest import write_songs

SONG = "AdmiralCrumple - KeepsFlowing [a remix for the table], second take of 1998"
PLUGIN = "sepkit-bar-augmentations"


@pytest.fixture
def corpus(tmp_path):
    return write_songs(tmp_path / "songs", [SONG, "two", "AdmiralCrumple"], ("vocals", "drums"), seconds=1.1)


@pytest.fixture
def scored(sepkit, corpus, small_model, tmp_path):
    """Return what evaluates the corpus, and the file of its scores."""
    model = tmp_path / "checkpoints-of-may"
    model.mkdir()
    (model / "best_model.safetensors").write_bytes(small_model.read_bytes())
    args = ("evaluate", "--data-dir", corpus, "-m", model, "--output-dir", tmp_path / "e")
    options = ("--no-report", "--no-cost", "--metrics", "sdr,bleed", "--processes", 1)
    return (*args, *options), tmp_path / "e" / "summary.json"


def test_the_tables_of_songs_are_whole(sepkit, terminal, scored, tmp_path):
    command, summary = scored
    piped = sepkit(*command)
    assert piped.code == 0, piped.err
    for name in (
        SONG,
        "AdmiralCrumple",
        "checkpoints-of-may",
        "ideal ratio mask (32 ms)",
        "bleed.drums",
    ):
        assert re.search(rf"(^|  +){re.escape(name)}(  |$)", piped.out, re.MULTILINE), name
    shown = terminal(*command).out
    tables = shown.split("vocals -")[0].splitlines()
    assert max(map(len, tables[: tables.index("medians over songs")])) <= 80
    guide = shown.split("Guide to SDR")[1].splitlines()
    assert max(map(len, guide[:3])) <= 80
    for word in ("checkpoints-of-may", "mixture", "ratio", "bleed.drums"):
        assert re.search(rf"(^| ){re.escape(word)}( |$)", shown, re.MULTILINE), word

    other = json.loads(summary.read_text())
    other["tracks"] = [row | {"score": row["score"] and row["score"] + 1} for row in other["tracks"]]
    (tmp_path / "other.json").write_text(json.dumps(other))
    for run, name in ((sepkit, SONG), (terminal, "AdmiralCrumple")):
        compared = run("compare", summary, tmp_path / "other.json").out
        assert re.search(rf"^{re.escape(name)}  ", compared, re.MULTILINE), compared


def test_the_findings_of_a_corpus_name_songs_and_files_whole(sepkit, terminal, small_config, corpus):
    (corpus / SONG / "vocals.wav").rename(corpus / SONG / "lead vocals of the second take.wav")
    (corpus / SONG / "lead vocals of the second take.wav").write_text("no audio")
    piped = sepkit("data", "check", small_config, "--data-dir", corpus, "--workers", 0)
    assert re.search(rf"  {re.escape(SONG)}  +lead vocals of the second take\.wav  ", piped.out), piped.out
    assert (
        max(map(len, terminal("data", "check", small_config, "--data-dir", corpus, "--workers", 0).out.splitlines()))
        <= 80
    )


def test_the_listings_name_plugins_and_models_whole(sepkit, terminal, install_plugin):
    source = "from sepkit import hookimpl\nraise ImportError('no module named ' + 'x' * 90)\n"
    install_plugin(PLUGIN, "bar", "sepkit_bar", source)
    for run in (sepkit, terminal):
        assert re.search(rf"^{PLUGIN}  +1\.2\.3  +bar  ", run("plugins", "list").out, re.MULTILINE)
        assert re.search(rf"^plugin {PLUGIN}:bar +broken  ", run("doctor").out, re.MULTILINE)
        assert re.search(r"^crnn  +sepkit 0\.1\.0  ", run("models", "list").out, re.MULTILINE)
    assert max(map(len, terminal("plugins", "list").out.splitlines())) <= 80
    assert max(map(len, terminal("models", "list").out.splitlines())) <= 80
