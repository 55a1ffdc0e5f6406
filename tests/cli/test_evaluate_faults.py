"""`sepkit evaluate` on many songs, and when somebody stops it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from tests.conftest import write_songs

# Its score is the process that scores; what it does at a loud song is for the test to say.
WATCHED = '''
import os
import time
from pathlib import Path
from typing import Literal
import numpy as np
from sepkit import MetricConfig, hookimpl

class Watched(MetricConfig):
    """Says which process scores a song."""
    name: Literal["watched"] = "watched"

    def build(self, audio):
        def score(estimates, references, mixture):
            if mixture.max() > 2:
                LOUD
            return np.full(len(estimates), float(os.getpid()))
        return score

@hookimpl
def sepkit_metrics():
    return [Watched]
'''


@pytest.fixture
def watched(install_plugin):
    def install(loud="pass"):
        install_plugin("sepkit-watched", "watched", "sepkit_watched", WATCHED.replace("LOUD", loud))

    return install


@pytest.fixture
def evaluation(small_model, songs, tmp_path):
    """The arguments of an evaluation of a, b, c, d; the last two are loud."""
    for name, old in zip("abcd", ("one", "two", "three", "four"), strict=True):
        (songs / old).rename(songs / name)
    for path in [*songs.glob("c/*.wav"), *songs.glob("d/*.wav")]:
        samples, rate = soundfile.read(path)
        soundfile.write(path, 20 * samples, rate, subtype="FLOAT")
    return (
        "evaluate", "-m", small_model, "--data-dir", songs, "--metrics", "sdr,watched", "--output-dir", tmp_path / "e",
        "--no-cost",
    )  # fmt: skip


def test_fifty_songs_in_two_processes_one_of_them_unreadable(sepkit, small_model, tmp_path, watched):
    watched()
    names = [f"song {n:02}" for n in range(50)]
    songs = write_songs(tmp_path / "fifty", names, ("vocals", "drums"), seconds=0.5)
    (songs / "song 17" / "vocals.wav").write_text("text")
    done = sepkit(
        "evaluate", "-m", small_model, "--data-dir", songs, "--target", "vocals", "--metrics", "sdr,watched",
        "--processes", 2, "--no-cost", "--no-report", "--output-dir", tmp_path / "e", "--json",
    )  # fmt: skip
    assert done.code == 1
    assert list(done.json["failed"]) == ["song 17"]
    (label,) = done.json["estimates"]
    rows = [row for row in done.json["tracks"] if row["estimate"] == label]
    scored = [row["track"] for row in rows if row["metric"] == "sdr" and row["score"] is not None]
    assert scored == [name for name in names if name != "song 17"]
    processes = {row["score"] for row in rows if row["metric"] == "watched"}
    assert len(processes) == 2
    assert os.getpid() not in processes
    progress = [line for line in done.err.splitlines() if " of 50  " in line]
    assert progress[0] == "1 of 50  song 00: scored"
    assert progress[-1] == "50 of 50  song 49: scored"
    assert len(progress) == 50
    assert "vocals.wav" in progress[17]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_scored_when_somebody_stops_it_is_written(sepkit, evaluation, tmp_path, watched, number, code):
    watched(f"os.kill(os.getpid(), {int(number)})")
    done = sepkit(*evaluation, "--processes", 1)
    assert done.code == code
    assert f"Stopped by {number.name}: 2 of 4 songs are scored" in done.err
    assert "not scored: c, d: interrupted" in done.out
    summary = json.loads((tmp_path / "e" / "summary.json").read_text())
    assert summary["interrupted"]
    assert list(summary["failed"]) == ["c", "d"]
    assert {row["track"] for row in summary["tracks"]} == {"a", "b"}
    assert {path.name for path in (tmp_path / "e" / "tracks").iterdir()} == {"a.json", "b.json"}
    assert "report.html" in summary["files"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_processes_that_score_end_with_it(evaluation, tmp_path, watched, number, code):
    late = tmp_path / "late"
    watched(f"time.sleep(60); Path({str(late)!r}).touch(); os._exit(0)")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "sepkit", *map(str, evaluation), "--no-report", "--processes", "2", "--json"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    seen = [running.stderr.readline() for _ in range(2)]
    assert "2 of 4  b: scored" in seen[1], seen
    time.sleep(0.5)  # until it waits for the next song: a signal between the two would be seen when that has come
    os.killpg(running.pid, number)
    out, err = running.communicate()
    assert running.returncode == code, err
    assert err.splitlines() == [f"Stopped by {number.name}: 2 of 4 songs are scored; the others are listed as failed"]
    assert list(json.loads(out)["failed"]) == ["c", "d"]
    assert not late.exists()


def test_an_earlier_evaluation_outlives_one_without_a_song(sepkit, evaluation, tmp_path, watched):
    watched("os.kill(os.getpid(), 2)")
    songs, *others = evaluation[4:]
    run = (*evaluation[:3], "--no-report", "--processes", 1, *others, "--song-dir")
    assert sepkit(*run, songs / "a").code == 0
    before = (tmp_path / "e" / "summary.json").read_bytes()
    assert json.loads(before)["interrupted"] is False
    done = sepkit(*run, songs / "c")
    assert (done.code, done.err.splitlines()[-1]) == (130, "Error: interrupted")
    assert (tmp_path / "e" / "summary.json").read_bytes() == before
