"""`sepkit evaluate` as users type it: models and finished stems, songs good and bad, and every file that it leaves."""

import csv
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sepkit.evaluation.estimates import FinishedEstimates
from sepkit.evaluation.pairing import AvailableStems
from sepkit.track import Track
from tests.conftest import Outcome, write_songs

# What most tests do not look at.
PLAIN = ("--no-cost", "--no-report")
SCHEMA = next(Path(find_spec("museval").origin).parent.glob("*.json"))
FFMPEG = shutil.which("ffmpeg")  # without it museval cannot be imported


@pytest.fixture
def evaluated(sepkit, small_model, tmp_path):
    """Score the small model and return what the command left."""

    def run(*args: object, code: int = 0):
        model = () if "--estimates" in args else ("-m", small_model)
        model += () if "--processes" in args else ("--processes", 1)
        done = sepkit("evaluate", *args, *model, "--output-dir", tmp_path / "e", *PLAIN, "--json")
        assert done.code == code, done.err
        return done.json

    return run


def medians(summary, metric="sdr"):
    return {(row["stem"], row["estimate"]): row["median"] for row in summary["medians"] if row["metric"] == metric}


def silence(path):
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.zeros_like(samples), rate, subtype="FLOAT")


def mono(songs):
    """Leave one channel: the filters of BSSEval take an eighth of the time."""
    for path in songs.glob("*/*.wav"):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        soundfile.write(path, samples[:, 0], rate, subtype="FLOAT")
    return songs


def test_one_song_a_folder_and_a_test_split(evaluated, songs, small_config, tmp_path):
    one = evaluated("--song-dir", songs / "one")
    (label,) = one["estimates"]
    assert {("vocals", label), ("accompaniment", label), ("accompaniment", "mixture")} <= set(medians(one))
    assert json.loads((tmp_path / "e" / "summary.json").read_text()) == one
    every = evaluated("--data-dir", songs, "--target", "vocals", "--metrics", "sdr,si_sdr")
    assert {row["track"] for row in every["tracks"]} == {"one", "two", "three", "four"}
    assert {(row["stem"], row["metric"]) for row in every["tracks"]} == {("vocals", "sdr"), ("vocals", "si_sdr")}
    small_config.write_text(f'[[datasets]]\nname = "folder"\nroot = "{songs}"\ntest = ["t*"]\n')
    assert {row["track"] for row in evaluated(small_config)["tracks"]} == {"two", "three"}


def test_floor_and_ceilings_stand_beside_every_score(evaluated, songs):
    summary = evaluated("--data-dir", songs)
    assert summary["bounds"] == ["mixture", "ideal ratio mask (32 ms)", "8000 Hz mono"]
    sdr = medians(summary)
    (label,) = summary["estimates"]
    for stem in ("vocals", "accompaniment"):
        assert sdr[stem, "mixture"] < sdr[stem, "ideal ratio mask (32 ms)"]
    assert sdr["vocals", label] < sdr["vocals", "ideal ratio mask (32 ms)"]
    assert sdr["vocals", "8000 Hz mono"] is None  # the hum is mono, so this path returns it as it is
    perfect = {(row["stem"], row["estimate"]) for row in summary["tracks"] if row["perfect"]}
    assert perfect == {("vocals", "8000 Hz mono")}


def test_people_read_scores_medians_guide_and_cost(sepkit, small_model, songs, tmp_path):
    out = tmp_path / "e"
    for name in ("three", "four"):
        shutil.rmtree(songs / name)
    done = sepkit("evaluate", "-m", small_model, "--data-dir", songs, "--output-dir", out)
    assert done.code == 0, done.err
    for text in ("median over songs of the median over frames", "mixture", "ideal ratio mask", "real-time",
                 "below 0 failed: check the training", "7+ excellent", str(out / "report.html")):  # fmt: skip
        assert text in " ".join(done.out.split()), text
    assert "2 of 2  two: scored" in done.err
    assert {path.name for path in out.iterdir()} == {"summary.json", "scores.csv", "report.html", "tracks"}
    cost = json.loads((out / "summary.json").read_text())["cost"]
    (figures,) = cost.values()
    assert figures["parameters"] > 0
    assert 0 < figures["real_time_factor"] < 10
    assert figures["peak_megabytes"] > 50


def test_a_song_name_with_brackets_is_shown_as_it_is(sepkit, small_model, songs, tmp_path):
    (songs / "one").rename(songs / "a [b]")
    song = songs / "a [b]"
    done = sepkit("evaluate", "-m", small_model, "--song-dir", song, "--output-dir", tmp_path / "e", *PLAIN)
    assert done.code == 0
    assert "a [b]" in done.out


def test_an_unreadable_song_is_reported_and_the_others_are_scored(evaluated, songs):
    (songs / "two" / "vocals.wav").write_text("text")
    summary = evaluated("--data-dir", songs, code=1)
    assert list(summary["failed"]) == ["two"]
    assert "vocals.wav" in summary["failed"]["two"]
    assert {row["track"] for row in summary["tracks"]} == {"one", "three", "four"}


def test_row_28_a_silent_reference_is_null_and_says_so(evaluated, tmp_path):
    songs = mono(write_songs(tmp_path / "s", ["a", "b"], ("vocals", "drums"), seconds=1))
    silence(songs / "a" / "vocals.wav")
    shutil.copy(songs / "a" / "drums.wav", songs / "a" / "mixture.wav")
    metrics = "sdr,usdr,si_sdr,bsseval,silence_level,bleed" + (",museval" if FFMPEG else "")
    summary = evaluated("--data-dir", songs, "--metrics", metrics)
    (label,) = summary["estimates"]
    rows = {(r["track"], r["stem"], r["metric"]): r for r in summary["tracks"] if r["estimate"] == label}
    named = ["sdr", "usdr", "si_sdr", "bsseval.SDR", "bsseval.SIR"]
    for metric in [*named, "museval.SDR", "museval.SAR"] if FFMPEG else named:
        silent = rows["a", "vocals", metric]
        assert (silent["score"], silent["undefined"]) == (None, "undefined: silent reference"), metric
        assert rows["b", "vocals", metric]["score"] is not None, metric
    assert rows["a", "accompaniment", "sdr"]["score"] is not None
    assert rows["a", "accompaniment", "bsseval.SDR"]["score"] is not None
    counted = next(m for m in summary["medians"] if (m["stem"], m["metric"], m["estimate"]) == ("vocals", "sdr", label))
    assert (counted["songs"], counted["undefined"]) == (1, {"silent reference": 1})
    assert rows["a", "vocals", "silence_level"]["score"] is not None  # silence is what it looks at


def test_a_stem_that_a_song_lacks_is_left_out(evaluated, songs):
    (songs / "one" / "vocals.wav").unlink()
    summary = evaluated("--data-dir", songs)
    assert summary["absent"] == {"one": ["accompaniment", "vocals"]}
    assert "one" not in {row["track"] for row in summary["tracks"]}


def test_songs_of_one_name_in_two_corpora_are_two_songs(sepkit, evaluated, small_config, songs, tmp_path):
    other = write_songs(tmp_path / "other", ["one"], ("drums",))
    roots = [f'{{name="folder", root="{root}", test=["one"]}}' for root in (songs, other)]
    config = tmp_path / "both.toml"
    config.write_text(sepkit("config", "show", small_config, "--set", f"datasets=[{', '.join(roots)}]").out)
    summary = evaluated(config)
    assert {row["track"] for row in summary["tracks"]} == {"one"}
    assert summary["absent"] == {"one (2)": ["accompaniment", "vocals"]}


def test_several_processes_give_the_scores_of_one_in_the_same_order(evaluated, songs):
    rows = [evaluated("--data-dir", songs, "--processes", n, "--metrics", "sdr")["tracks"] for n in (1, 2)]
    for one, two in zip(*rows, strict=True):
        assert {k: one[k] for k in ("track", "stem", "estimate")} == {k: two[k] for k in ("track", "stem", "estimate")}
        assert one["score"] == pytest.approx(two["score"], abs=1e-6)


def test_a_metric_that_needs_ffmpeg_says_what_to_install_once(sepkit, small_model, songs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    command = (
        "evaluate",
        "--data-dir",
        songs,
        "-m",
        small_model,
        "--metrics",
        "museval",
        "--output-dir",
        tmp_path / "e",
    )
    done = sepkit(*command, "--processes", 1, *PLAIN)
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if line.startswith("not scored")]
    assert "metric museval: ffmpeg not found" in line
    assert "install" in line


def test_track_files_have_the_schema_of_museval_and_its_reader_takes_them(evaluated, songs, tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    shutil.rmtree(songs / "four")
    mono(songs)
    loud, rate = soundfile.read(songs / "one" / "vocals.wav")
    loud[:rate] = 0
    soundfile.write(songs / "one" / "vocals.wav", loud, rate, subtype="FLOAT")
    evaluated("--data-dir", songs, "--metrics", "sdr,bsseval")
    files = sorted((tmp_path / "e" / "tracks").iterdir())
    assert [file.name for file in files] == ["one.json", "three.json", "two.json"]
    for file in files:
        jsonschema.validate(json.loads(file.read_text()), json.loads(SCHEMA.read_text()))
    one = json.loads((tmp_path / "e" / "tracks" / "one.json").read_text())
    vocals = next(target for target in one["targets"] if target["name"] == "vocals")
    assert vocals["frames"][0]["metrics"] == {}
    assert set(vocals["frames"][0]["undefined"]) == {"SDR", "ISR", "SIR", "SAR"}
    if not FFMPEG:
        pytest.skip("its reader is not tried: museval imports only where ffmpeg is installed")
    import museval

    table = museval.aggregate.json2df(one, "one")
    assert set(table["metric"]) <= {"SDR", "ISR", "SIR", "SAR"}


def test_frames_of_half_a_second_have_their_own_times(evaluated, songs, small_config, tmp_path):
    small_config.write_text(
        f'[[datasets]]\nname = "folder"\nroot = "{songs}"\ntest = ["one"]\n'
        '[[metrics]]\nname = "sdr"\nframe_seconds = 0.5\n'
    )
    evaluated(small_config, "--target", "vocals")
    (target,) = json.loads((tmp_path / "e" / "tracks" / "one.json").read_text())["targets"]
    assert [(frame["time"], frame["duration"]) for frame in target["frames"]] == [(0, 0.5), (0.5, 0.5), (1, 0.5)]


def test_the_table_for_spreadsheets_holds_every_score_and_no_formula(evaluated, tmp_path):
    formulas = ("=1", "+1", "-1", "@1", "\t1", "\r1")
    songs = write_songs(tmp_path / "formulas", ["a=1", *formulas], ("vocals", "drums"), seconds=0.5)
    summary = evaluated("--data-dir", songs)
    with (tmp_path / "e" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summary["tracks"])
    assert {row["track"] for row in rows} == {"a=1", *(f"'{name}" for name in formulas)}
    for row, score in zip(rows, summary["tracks"], strict=True):
        value = np.inf if score["perfect"] else score["score"]
        assert float(row["score"]) == value if row["score"] else value is None


def test_files_of_an_earlier_evaluation_do_not_stay(evaluated, songs, tmp_path):
    evaluated("--data-dir", songs)
    evaluated("--song-dir", songs / "two")
    assert [file.name for file in (tmp_path / "e" / "tracks").iterdir()] == ["two.json"]


def test_two_models_side_by_side(sepkit, small_model, trained, songs, tmp_path):
    done = sepkit(
        "evaluate",
        "-m",
        small_model,
        "-m",
        trained,
        "--data-dir",
        songs,
        "--output-dir",
        tmp_path / "e",
        "--json",
        *PLAIN,
    )
    assert done.code == 0, done.err
    assert done.json["estimates"] == [small_model.parent.name, trained.name]
    assert {path.name for path in (tmp_path / "e" / "tracks").iterdir()} == set(done.json["estimates"])
    sdr = medians(done.json)
    assert sdr["vocals", small_model.parent.name] != sdr["vocals", trained.name]


class TestFinishedEstimates:
    """Stems that another tool has left."""

    @pytest.fixture
    def finished(self, songs, tmp_path):
        """Half of the drums in the voice, in the layout of demucs."""
        root = tmp_path / "separated" / "htdemucs"
        for song in songs.iterdir():
            (root / song.name).mkdir(parents=True)
            stems = {stem: soundfile.read(song / f"{stem}.wav")[0] for stem in ("vocals", "drums", "mixture")}
            vocals = stems["vocals"] + 0.1 * stems["drums"]
            for name, samples in (("vocals", vocals), ("no_vocals", stems["mixture"] - vocals)):
                soundfile.write(root / song.name / f"{name}.wav", samples, 8000, subtype="FLOAT")
        return tmp_path / "separated"

    def test_are_scored_with_known_answers(self, evaluated, finished, songs):
        summary = evaluated("--estimates", finished, "--data-dir", songs)
        assert summary["estimates"] == ["separated"]
        assert medians(summary, "bleed.drums")["vocals", "separated"] == pytest.approx(-20, abs=0.5)
        drums, vocals = (
            np.square(soundfile.read(songs / "one" / f"{s}.wav")[0][:8000]).sum() for s in ("drums", "vocals")
        )
        rows = {(r["track"], r["stem"], r["metric"], r["estimate"]): r["score"] for r in summary["tracks"]}
        assert rows["one", "vocals", "sdr", "separated"] == pytest.approx(10 * np.log10(vocals / drums) + 20, abs=0.01)
        assert rows["one", "no_vocals", "sdr", "separated"] == pytest.approx(20, abs=0.01)

    def test_a_missing_song_is_reported_and_the_rest_is_scored(self, evaluated, finished, songs):
        shutil.rmtree(finished / "htdemucs" / "two")
        summary = evaluated("--estimates", finished, "--data-dir", songs, code=1)
        assert re.search(r"no estimates: expected .*two", summary["failed"]["two"])
        assert {row["track"] for row in summary["tracks"]} == {"one", "three", "four"}

    def test_stems_of_another_song_are_refused(self, evaluated, finished, songs):
        soundfile.write(finished / "htdemucs" / "two" / "vocals.wav", np.zeros((80000, 2)), 8000)
        summary = evaluated("--estimates", finished, "--data-dir", songs, code=1)
        assert "10.0 s long, its song is 1.5 s" in summary["failed"]["two"]

    def test_of_ultimate_vocal_remover_lie_side_by_side(self, evaluated, finished, songs, tmp_path):
        flat = tmp_path / "flat"
        flat.mkdir()
        (songs / "two").rename(songs / "1_two_(live)")
        for number, song in enumerate(("one", "two", "three", "four"), 1):
            name = song.replace("two", "1_two_(live)")
            for stem, called in (("vocals", "Vocals"), ("no_vocals", "Instrumental")):
                path = finished / "htdemucs" / song / f"{stem}.wav"
                shutil.copy(path, flat / f"{number}_{name}_({called}).wav")
        summary = evaluated("--estimates", flat, "--data-dir", songs)
        stems = {(row["track"], row["stem"]) for row in summary["tracks"] if row["estimate"] == "flat"}
        names = ("one", "1_two_(live)", "three", "four")
        assert stems == {(name, stem) for name in names for stem in ("vocals", "instrumental")}
        assert medians(summary, "bleed.drums")["vocals", "flat"] == pytest.approx(-20, abs=0.5)
        (flat / "1_one_(Instrumental).wav").rename(flat / "1_one_(No Vocals).wav")
        shutil.copy(flat / "3_three_(Vocals).wav", flat / "9_three_(Vocals).wav")
        for path in flat.glob("*four*"):
            path.unlink()
        summary = evaluated("--estimates", flat, "--data-dir", songs, "--metrics", "usdr", code=1)
        assert ("one", "no_vocals") in {(row["track"], row["stem"]) for row in summary["tracks"]}
        assert "3_three_(Vocals).wav and 9_three_(Vocals).wav; keep one" in summary["failed"]["three"]
        assert "or files such as 1_four_(Vocals).wav" in summary["failed"]["four"]

    def test_of_one_song_are_those_in_the_folder_itself_whatever_song_they_name(self, evaluated, finished, songs):
        folder = finished / "htdemucs" / "two"
        for stem, called in (("vocals", "Vocals"), ("no_vocals", "Instrumental")):
            (folder / f"{stem}.wav").rename(folder.parent / f"1_mixture_({called}).wav")
        run = ("--estimates", folder.parent, "--song-dir", songs / "two", "--metrics", "usdr")
        summary = evaluated(*run)
        stems = {(row["track"], row["stem"]) for row in summary["tracks"] if row["estimate"] == "htdemucs"}
        assert stems == {("two", "vocals"), ("two", "instrumental")}
        (folder.parent / "1_mixture_(Vocals).wav").rename(folder.parent / "1_other_(Vocals).wav")
        why = evaluated(*run, code=1)["failed"]["two"]
        assert "1_mixture_(Instrumental).wav and 1_other_(Vocals).wav; keep those of two" in why
        every = evaluated(*run[:2], "--data-dir", songs, "--metrics", "usdr", code=1)
        assert re.search(r"no estimates: expected .*two", every["failed"]["two"])

    @pytest.mark.parametrize("called", ["lead vocals", "Lead_Vocals"])
    def test_of_stems_that_are_called_by_two_words(self, evaluated, songs, tmp_path, called):
        (songs / "one" / "vocals.wav").rename(songs / "one" / "lead vocals.wav")
        made = tmp_path / "made"
        made.mkdir()
        for file, name in (("lead vocals", called), ("drums", f"no_{called}")):
            shutil.copy(songs / "one" / f"{file}.wav", made / f"{name}.wav")
        summary = evaluated("--estimates", made, "--song-dir", songs / "one", "--metrics", "bleed")
        assert {(row["stem"], *row.get("without", ())) for row in summary["tracks"]} == {
            ("lead vocals",),
            ("no_" + called.casefold().replace(" ", "_"), "lead vocals"),
        }

    def test_of_a_corpus_with_stems_in_capitals(self, songs, tmp_path):
        files = {stem.title(): (songs / "one" / f"{stem}.wav",) for stem in ("vocals", "drums")}
        made = FinishedEstimates.of(songs, alone=False).available(Track("one", files))
        assert made == AvailableStems(("Drums", "Vocals"), {})
        shutil.copytree(songs / "one", tmp_path / "made" / "one")
        (tmp_path / "made" / "one" / "drums.wav").rename(tmp_path / "made" / "one" / "instrumental.wav")
        made = FinishedEstimates.of(tmp_path / "made", alone=False).available(Track("one", files))
        assert made == AvailableStems(("Vocals",), {"instrumental": ("Vocals",)})

    def test_another_rate_and_mono_are_converted(self, evaluated, finished, songs):
        path = finished / "htdemucs" / "two" / "vocals.wav"
        samples, _ = soundfile.read(path)
        soundfile.write(path, np.repeat(samples.mean(1), 2), 16000, subtype="FLOAT")
        summary = evaluated("--estimates", finished, "--data-dir", songs)
        assert not summary["failed"]

    def test_beside_a_model(self, sepkit, small_model, finished, songs, tmp_path):
        done = sepkit(
            "evaluate", "--estimates", finished, "-m", small_model, "--data-dir", songs, "--output-dir", tmp_path / "e",
            "--json", *PLAIN,
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.json["estimates"] == [small_model.parent.name, "separated"]

    def test_no_such_folder(self, sepkit, songs, tmp_path):
        done = sepkit("evaluate", "--estimates", tmp_path / "no", "--data-dir", songs, "--output-dir", tmp_path / "e")
        assert done.code == 2
        assert "--estimates names one with" in done.err


def test_a_scoring_process_that_dies_costs_the_songs_that_are_left_and_no_more(
    sepkit, small_model, songs, tmp_path, install_plugin
):
    install_plugin("sepkit-dying", "dying", "sepkit_dying", DYING)
    done = sepkit(
        "evaluate", "-m", small_model, "--data-dir", songs, "--metrics", "dying", "--processes", 2, *PLAIN,
        "--output-dir", tmp_path / "e",
    )  # fmt: skip
    assert done.code == 1
    (line,) = (line for line in done.out.splitlines() if line.startswith("not scored"))
    assert re.fullmatch(r"not scored: four, one, three, two: a worker process .+ or none: --processes 1", line)
    assert "4 of 4  two: a worker process " in done.err


DYING = '''
import os
from typing import Literal
from sepkit import MetricConfig, hookimpl

class Dying(MetricConfig):
    """Kills its process, as the system does when memory is short."""
    name: Literal["dying"] = "dying"

    def build(self, audio):
        def score(estimates, references, mixture):
            os.kill(os.getpid(), 9)
        return score

@hookimpl
def sepkit_metrics():
    return [Dying]
'''


def test_a_metric_that_raises_fails_its_songs_for_one_reason(sepkit, small_model, songs, tmp_path, install_plugin):
    install_plugin("sepkit-dying", "dying", "sepkit_dying", DYING.replace("os.kill(os.getpid(), 9)", "1 / 0"))
    done = sepkit(
        "evaluate", "-m", small_model, "--data-dir", songs, "--metrics", "dying", *PLAIN, "--output-dir", tmp_path / "e"
    )  # fmt: skip
    assert done.code == 1
    why = 'the metric "dying" failed (ZeroDivisionError: division by zero)'
    assert f"not scored: four, one, three, two: {why}" in done.out.splitlines()
    assert f"1 of 4  four: {why}" in done.err.splitlines()


class TestSeveralEstimators:
    """What models of other sources, and tools that lack a song, do to each other: nothing."""

    @pytest.fixture
    def two_sources(self, sepkit, small_config, songs, tmp_path):
        run = tmp_path / "both"
        sources = ("--set", 'audio.sources=["vocals", "drums"]', "--set", "train.steps_per_epoch=1", "--epochs", 1)
        assert sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, *sources).code == 0
        return run

    def test_each_score_is_there_once_and_residuals_of_two_kinds_are_two(
        self, sepkit, small_model, two_sources, songs, tmp_path
    ):
        done = sepkit(
            "evaluate", "-m", small_model, "-m", two_sources, "--data-dir", songs, "--output-dir", tmp_path / "e",
            "--json", *PLAIN,
        )  # fmt: skip
        assert done.code == 0, done.err
        places = [(r["track"], r["stem"], r["metric"], r["estimate"]) for r in done.json["tracks"]]
        assert len(places) == len(set(places))
        residuals = {tuple(r["without"]): r["stem"] for r in done.json["tracks"] if "without" in r}
        assert residuals == {
            ("vocals",): "accompaniment (without vocals)",
            ("vocals", "drums"): "accompaniment (without vocals, drums)",
        }
        floors = {stem: sdr for (stem, estimate), sdr in medians(done.json).items() if estimate == "mixture"}
        assert floors["accompaniment (without vocals)"] == pytest.approx(-floors["vocals"], abs=0.01)
        assert floors["drums"] == pytest.approx(-floors["vocals"], abs=0.01)

    def test_a_song_that_one_lacks_is_scored_for_the_others(self, sepkit, small_model, songs, tmp_path):
        (tmp_path / "made" / "one").mkdir(parents=True)
        shutil.copy(songs / "one" / "vocals.wav", tmp_path / "made" / "one" / "vocals.wav")
        done = sepkit(
            "evaluate", "-m", small_model, "--estimates", tmp_path / "made", "--data-dir", songs, "--metrics", "usdr",
            "--output-dir", tmp_path / "e", "--json", *PLAIN,
        )  # fmt: skip
        assert done.code == 1
        assert set(done.json["failed"]) == {"two", "three", "four"}
        assert done.json["failed"]["two"].startswith("made: no estimates")
        scored = {(row["track"], row["estimate"]) for row in done.json["tracks"]}
        assert {("two", small_model.parent.name), ("one", "made")} <= scored

    def test_labels_are_unlike_each_other_and_unlike_those_of_bounds(self, sepkit, small_model, songs, tmp_path):
        for name in ("mixture", "old"):
            shutil.copy(small_model, tmp_path / f"{name}.safetensors")
        shutil.copytree(songs, tmp_path / "old")
        done = sepkit(
            "evaluate", "-m", tmp_path / "mixture.safetensors", "-m", tmp_path / "old.safetensors",
            "--estimates", tmp_path / "old", "--song-dir", songs / "one", "--output-dir", tmp_path / "e", "--json",
            *PLAIN,
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.json["estimates"] == ["mixture (2)", "old", "old (2)"]
        sdr = medians(done.json)
        assert sdr["vocals", "mixture (2)"] != sdr["vocals", "mixture"]


def test_a_bad_metric_costs_its_own_scores(sepkit, small_model, songs, tmp_path, install_plugin):
    source = DYING.replace("os.kill(os.getpid(), 9)", "return estimates")
    install_plugin("sepkit-dying", "dying", "sepkit_dying", source)
    done = sepkit(
        "evaluate", "-m", small_model, "--song-dir", songs / "one", "--metrics", "dying,sdr", *PLAIN,
        "--output-dir", tmp_path / "e", "--json",
    )  # fmt: skip
    assert done.code == 1
    assert re.search(r'"dying" returned float32 \[1, 2, 12000\] instead of \[1\]', done.json["failed"]["one"])
    assert {row["metric"] for row in done.json["tracks"]} == {"sdr"}


def test_what_others_have_left_in_the_folder_stays(sepkit, evaluated, small_model, songs, tmp_path):
    notes = tmp_path / "e" / "tracks" / "notes.json"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    (tmp_path / "e" / "report.html").write_text("mine")
    evaluated("--data-dir", songs)
    evaluated("--song-dir", songs / "one")
    assert {path.name for path in notes.parent.iterdir()} == {"notes.json", "one.json"}
    assert (tmp_path / "e" / "report.html").read_text() == "mine"
    done = sepkit("evaluate", "-m", small_model, "--data-dir", songs, "--output-dir", tmp_path / "e", "--no-cost")
    assert (done.code, "report.html exists" in done.err) == (2, True)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_scored(sepkit, small_model, songs, tmp_path):
    (tmp_path / "e").write_text("")
    done = sepkit("evaluate", "-m", small_model, "--data-dir", songs, "--output-dir", tmp_path / "e", *PLAIN)
    assert (done.code, "it is a file" in done.err, "scored" in done.err) == (2, True, False)


def test_names_that_are_no_text(sepkit, small_model, songs, tmp_path):
    import os

    os.rename(os.fsencode(songs / "one"), os.fsencode(songs) + b"/bad\xff")  # noqa: PTH104
    out = tmp_path / "e"
    done = sepkit("evaluate", "-m", small_model, "--data-dir", songs, "--output-dir", out, "--no-cost", "--json")
    assert done.code == 0, done.err
    assert "bad?" in {row["track"] for row in json.loads((out / "summary.json").read_text())["tracks"]}


def test_finished_stems_of_two_tools_and_of_no_song(evaluated, songs, tmp_path):
    made = tmp_path / "made"
    for place in ("a/one", "b/one", "c"):
        (made / place).mkdir(parents=True)
        shutil.copy(songs / "one" / "vocals.wav", made / place / "vocals.wav")
    several = evaluated("--estimates", made, "--song-dir", songs / "one", code=1)
    assert re.search(r"estimates in .*a/one and .*b/one", several["failed"]["one"])
    flat = evaluated("--estimates", made / "c", "--data-dir", songs, code=1)
    assert len(flat["failed"]) == 4
    assert evaluated("--estimates", made / "c", "--song-dir", songs / "two", "--metrics", "usdr")["tracks"]


def test_a_perfect_estimate_is_no_undefined_one(sepkit, songs, tmp_path):
    """Null in JSON, too, but without a reason; beyond any number in the medians, in tables and for `compare`."""
    shutil.copytree(songs, tmp_path / "made")
    samples, rate = soundfile.read(songs / "one" / "vocals.wav")
    soundfile.write(tmp_path / "made" / "one" / "vocals.wav", 0.9 * samples, rate, subtype="FLOAT")
    silence(songs / "two" / "vocals.wav")
    run = ("evaluate", "--data-dir", songs, "--estimates", tmp_path / "made", "--target", "vocals", "--metrics")
    done = sepkit(*run, "sdr,bleed", "--output-dir", tmp_path / "e", "--no-cost")
    assert done.code == 0, done.err
    summary = Outcome(0, (tmp_path / "e" / "summary.json").read_text(), "").json
    rows = {row["track"]: row for row in summary["tracks"] if (row["metric"], row["estimate"]) == ("sdr", "made")}
    assert {track: (row["score"] is None, row["undefined"], row["perfect"]) for track, row in rows.items()} == {
        "one": (False, "", False),
        "two": (True, "undefined: silent reference", False),
        "three": (True, "", True),
        "four": (True, "", True),
    }
    (median,) = [m for m in summary["medians"] if (m["metric"], m["estimate"]) == ("sdr", "made")]
    assert (median["songs"], median["perfect"], median["median"], median["mean"]) == (3, 2, None, None)
    assert "vocals: no error at all" in done.out
    assert re.search(r"three +vocals +perfect", done.out)
    frames = json.loads((tmp_path / "e" / "tracks" / "three.json").read_text())["targets"][0]["frames"]
    assert [(frame["metrics"], frame["perfect"], "undefined" in frame) for frame in frames] == [({}, ["SDR"], False)]
    assert "three,vocals,sdr,dB,made,inf," in (tmp_path / "e" / "scores.csv").read_text()
    for song in ("three", "four"):
        shutil.copy(tmp_path / "made" / "one" / "vocals.wav", tmp_path / "made" / song / "vocals.wav")
    assert sepkit(*run, "sdr", "--output-dir", tmp_path / "other", *PLAIN).code == 0
    done = sepkit("compare", tmp_path / "e", tmp_path / "other", "--metrics", "sdr")
    assert "2 scores of four, three: perfect in the first" in done.out


class TestTiming:
    """Estimates that are not in time with their references."""

    @pytest.fixture
    def made(self, tmp_path):
        """Score vocals that `change` has made of the true ones, for two songs of noise."""
        songs = write_songs(tmp_path / "noisy", ["one", "two"], ("voice", "drums"), seconds=3)

        def write(change):
            for song in ("one", "two"):
                samples, rate = soundfile.read(songs / song / "voice.wav", dtype="float32")
                (tmp_path / "made" / song).mkdir(parents=True, exist_ok=True)
                soundfile.write(tmp_path / "made" / song / "voice.wav", change(samples), rate, subtype="FLOAT")
            return ("--estimates", tmp_path / "made", "--data-dir", songs, "--metrics", "sdr")

        return write

    def evaluated(self, sepkit, tmp_path, run):
        done = sepkit("evaluate", *run, "--output-dir", tmp_path / "e", "--processes", 1, *PLAIN, "--json")
        assert done.code == 0, done.err
        return done.json["shifted"], [line for line in done.err.splitlines() if line.startswith("Warning")]

    @pytest.mark.parametrize(("samples", "when"), [(1105, "late"), (-200, "early")])
    def test_a_constant_lag_is_one_warning_and_is_in_the_summary(self, sepkit, made, tmp_path, samples, when):
        run = made(lambda x: np.roll(x, samples, 0) + 0.1 * np.roll(x, 77, 0))
        shifted, (warning,) = self.evaluated(sepkit, tmp_path, run)
        assert {(s["track"], s["estimate"], s["stem"], s["samples_late"]) for s in shifted} == {
            (song, "made", "voice", samples) for song in ("one", "two")
        }
        assert {s["milliseconds_late"] for s in shifted} == {samples / 8}
        assert all(s["cost_db"] > 15 for s in shifted)
        assert f"made: voice of one, two are {abs(samples)} samples ({abs(samples) / 8:.1f} ms) {when}" in warning

    def test_in_time_is_without_a_word(self, sepkit, made, tmp_path):
        assert self.evaluated(sepkit, tmp_path, made(lambda x: 0.5 * x + 0.2 * np.roll(x, 77, 0))) == ([], [])

    def test_another_length_is_said_from_a_tenth_of_a_second_on(self, sepkit, made, tmp_path):
        _, warnings = self.evaluated(sepkit, tmp_path, made(lambda x: x[:-1200]))
        assert [line.partition("voice.wav: ")[2] for line in warnings] == [
            "2.85 s long, its song is 3.00 s; silence is added"
        ] * 2
        _, warnings = self.evaluated(sepkit, tmp_path, made(lambda x: np.pad(x, ((0, 2000), (0, 0)))))
        assert warnings[0].endswith("voice.wav: 3.25 s long, its song is 3.00 s; the end is cut")
        assert self.evaluated(sepkit, tmp_path, made(lambda x: x[:-600])) == ([], [])


def test_row_34_an_instrumental_beside_its_stems_changes_no_score(evaluated, tmp_path):
    """Floor, ceilings and bleed are those of the same songs without it, with and without a mixture."""
    songs = write_songs(tmp_path / "songs", ["one"], ("vocals", "drums", "bass"))
    stems = {path.stem: soundfile.read(path, dtype="float32")[0] for path in songs.glob("one/*.wav")}
    (tmp_path / "made" / "one").mkdir(parents=True)
    made = {"vocals": stems["vocals"] + 0.1 * stems["drums"], "instrumental": 0.9 * stems["drums"] + stems["bass"]}
    for name, samples in made.items():
        soundfile.write(tmp_path / "made" / "one" / f"{name}.wav", samples, 8000, subtype="FLOAT")
    run = ("--song-dir", songs / "one", "--estimates", tmp_path / "made", "--metrics", "sdr,bleed")
    plain = evaluated(*run)["medians"]
    soundfile.write(songs / "one" / "instrumental.wav", stems["drums"] + stems["bass"], 8000, subtype="FLOAT")
    assert evaluated(*run)["medians"] == plain
    (songs / "one" / "mixture.wav").unlink()
    for row, before in zip(evaluated(*run)["medians"], plain, strict=True):
        assert row == before | {"median": pytest.approx(before["median"], abs=1e-3), "mean": row["mean"]}


def test_stems_that_are_no_partition_are_named(sepkit, small_model, tmp_path):
    songs = write_songs(tmp_path / "songs", ["one"], ("vocals", "drums"))
    shutil.copy(songs / "one" / "mixture.wav", songs / "one" / "original.wav")
    done = sepkit("evaluate", "-m", small_model, "--data-dir", songs, "--output-dir", tmp_path / "e", *PLAIN)
    assert done.code == 0
    assert "Warning: one: original: it is the mixture under another name; remove it" in done.err.splitlines()


def test_a_stem_that_is_longer_than_its_mixture_is_named(sepkit, small_model, songs, tmp_path):
    samples, rate = soundfile.read(songs / "one" / "vocals.wav")
    soundfile.write(songs / "one" / "vocals.wav", np.tile(samples, (2, 1)), rate)
    done = sepkit("evaluate", "-m", small_model, "--song-dir", songs / "one", "--output-dir", tmp_path / "e", *PLAIN)
    assert done.code == 0
    assert "vocals lasts 3.0 s, the mixture 1.5 s" in done.err


def test_frames_that_are_undefined_are_counted(evaluated, songs):
    samples, rate = soundfile.read(songs / "one" / "vocals.wav")
    samples[:rate] = 0
    soundfile.write(songs / "one" / "vocals.wav", samples, rate, subtype="FLOAT")
    summary = evaluated("--song-dir", songs / "one", "--metrics", "sdr", "--target", "vocals")
    row = next(row for row in summary["tracks"] if row["estimate"] in summary["estimates"])
    assert (row["frames"], row["undefined_frames"], row["score"]) == (1, 1, None)
