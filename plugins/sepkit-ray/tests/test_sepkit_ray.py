"""`sepkit-ray separate` on a cluster of two nodes of one worker each: the same as `sepkit separate`, and what it
survives.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
import soundfile
from ray.cluster_utils import Cluster
from sepkit_ray.cli import separate as on_a_cluster
from sepkit_ray.cluster import connected
from sepkit_ray.worker import Setup, Worker
from sepkit_ray.workers import Workers

from sepkit.audio.untrusted.decoder import Decoder
from sepkit.cli.separate import separate as local
from sepkit.errors import ModelFileError, SepkitError
from sepkit.separation import Separator
from sepkit.songs.batch import pipeline_of
from sepkit.songs.inputs import InputSong
from sepkit.songs.output import Output
from sepkit.songs.pipeline import SeparationOptions

HERE = Path(__file__).parent
CRNN = """{"name": "crnn", "n_fft": 256, "hop_length": 64, "channels": [4, 8], "frequency_strides": [4, 2],
"time_strides": [2, 1], "projection": 16, "hidden": 8, "layers": 1}"""
MAKE_MODEL = """
import json, sys, torch
from pathlib import Path
from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.export.kept import prepare_export
path, model = sys.argv[1:]
config = configs.validate({"audio": {"sample_rate": 8000}, "model": json.loads(model)}, "test")
torch.manual_seed(0)
with Commit() as commit:
    model_file.stage(commit, Path(path), config.model.build(config.audio), model_file.manifest_of(config))
prepare_export(Path(path))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of its own, and in the environment a cache of its own and a plugin with a deadly network."""
    root = tmp_path_factory.mktemp("world")
    info = root / "site" / "sepkit_deadly-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sepkit-deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sepkit]\ndeadly = sepkit_deadly\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(root / "site"), str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("SEPKIT_CACHE", str(root / "cache"))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield root


@pytest.fixture(scope="module")
def cluster(world):
    """The address of a cluster of two nodes, each with a CPU."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1, num_gpus=0)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def model(world):
    return made(world / "crnn.safetensors", CRNN)


def made(path, model):
    subprocess.run([sys.executable, "-c", MAKE_MODEL, path, model], check=True)  # noqa: S603
    return path


def run(program, *args):
    """Run a command in a process of its own, as users do."""
    command = [Path(sys.executable).parent / program, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def write_song(path, peak=0.3, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(path.name)).uniform(-peak, peak, (rate, 2))
    samples[0] = peak
    soundfile.write(path, samples, rate, subtype="FLOAT")


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_takes_what_the_local_command_takes():
    there = {parameter.name for parameter in on_a_cluster.params}
    assert there == {parameter.name for parameter in local.params} | {"address", "workers", "cpus"}


def test_stems_names_and_reports_are_those_of_the_local_command(cluster, model, tmp_path):
    for name in ("a/song.wav", "b/song.wav", "folder/deep/song.wav", "folder/other.wav"):
        write_song(tmp_path / name, rate=44100 if "b/" in name else 8000)
    (tmp_path / "folder" / "broken.wav").write_text("no audio")
    soundfile.write(tmp_path / "folder" / "holes.wav", np.full((8000, 2), np.nan), 8000, subtype="FLOAT")
    inputs = [tmp_path / name for name in ("a/song.wav", "b/song.wav", "folder")]
    shared = (*inputs, "-m", model, "--json", "--template", "{track} {stem}", "-o")
    here = run("sepkit", "separate", *shared, tmp_path / "here")
    there = run("sepkit-ray", "separate", *shared, tmp_path / "there", "--address", cluster)
    assert there.returncode == here.returncode == 1, there.stderr
    assert json.loads(there.stdout.replace("/there/", "/here/")) == json.loads(here.stdout)
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    assert len(tree(tmp_path / "there")) == 10
    said = [{line for line in text.splitlines() if ": " in line} for text in (here.stderr, there.stderr)]
    assert said[0] == said[1]
    assert sorted(line.split()[0] for line in said[0]) == ["Error:", "Warning:"]
    assert "6/6 " in there.stderr

    again = run("sepkit-ray", "separate", *shared, tmp_path / "there", "--address", cluster, "--skip-existing")
    assert [track["skipped"] for track in json.loads(again.stdout)["tracks"]].count(True) == 5


def test_a_song_survives_its_worker_and_one_that_kills_each_is_given_up(cluster, world, tmp_path):
    model = made(world / "deadly.safetensors", json.dumps({"name": "deadly", "log": str(tmp_path / "deaths")}))
    for name, peak in {"1 kills once": 0.8, "2 is harmless": 0.3, "3 kills always": 0.99, "4 is harmless": 0.2}.items():
        write_song(tmp_path / "songs" / f"{name}.wav", peak)
    options = ("-m", model, "--bit-depth", "float", "-o", tmp_path / "out", "--address", cluster, "--json")
    done = run("sepkit-ray", "separate", tmp_path / "songs", *options)
    assert done.returncode == 1, done.stderr
    assert sorted((tmp_path / "deaths").read_text()) == ["a", "a", "a", "o"]
    once, harmless, always, last = json.loads(done.stdout)["tracks"]
    assert "given up after 3 attempts" in always["error"]
    for track in (once, harmless, last):
        assert not track["error"]
        assert not track["skipped"]
        song, vocals = (soundfile.read(path)[0] for path in (track["input"], track["files"]["vocals"]))
        np.testing.assert_allclose(vocals, song / 2, atol=1e-6)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        Path(t["input"]).stem for t in (once, harmless, last)
    }


def test_a_worker_that_is_started_again_takes_what_is_done_for_done(world, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_song(tmp_path / "song.wav")
    options = SeparationOptions(Output.of(Path("out"), None, None))
    separator = Separator.load(model)
    worker = Worker(Setup(tmp_path, str(model), separator.model.checksum, "cpu", {}, options))
    with Decoder() as decoder:
        song = InputSong(Path("song.wav"), "song")
        pipeline = pipeline_of(separator, decoder, [song], [song.path], options)
        plan = pipeline.plan(song)
    context = SimpleNamespace(was_current_actor_reconstructed=False)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    first = worker.separate(plan).result
    assert set(first.stems.files) == {"vocals", "accompaniment"}
    assert "has appeared meanwhile" in worker.separate(plan).result.error
    context.was_current_actor_reconstructed = True
    again = worker.separate(plan).result
    assert (again.error, again.stems.files, again.stems.skipped) == ("", first.stems.files, False)


def test_a_worker_refuses_another_model(world, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="is another model"):
        Worker(Setup(tmp_path, str(model), "0" * 64, "cpu", {}, SeparationOptions(Output.of(Path("out"), None, None))))


def starter(*kinds):
    """What starts one actor of each kind."""
    following = iter(kinds)
    return lambda: next(following).remote()


def songs(count):
    return [SimpleNamespace(song=SimpleNamespace(path=Path(str(number)))) for number in range(count)]


def test_workers_that_never_start_hold_no_song_back_and_without_any_the_run_ends(cluster):
    class Quick:
        def ready(self):
            pass

        def separate(self, plan):
            return plan.song.path

    class Broken:
        def __init__(self):
            raise ModelFileError("no such model here")

        def ready(self):
            pass

    with connected(cluster):
        quick, broken = (ray.remote(kind).options(num_cpus=1, max_restarts=-1) for kind in (Quick, Broken))
        done = [answer for _, answer in Workers(3, quick.remote).separate(songs(7))]
        assert sorted(done) == [plan.song.path for plan in songs(7)]
        assert len(list(Workers(2, starter(broken, quick)).separate(songs(2)))) == 2
        with pytest.raises(SepkitError, match=r"no worker is left: .*no such model here"):
            list(Workers(2, broken.remote).separate(songs(2)))


def test_a_cluster_that_is_not_there_is_missed_at_once(model, tmp_path):
    done = run("sepkit-ray", "separate", tmp_path / "song.wav", "-m", model, "--address", "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no Ray cluster at 127.0.0.1:1 (ConnectionRefusedError")


def test_what_the_cluster_has_no_room_for_is_refused(cluster, model, tmp_path):
    write_song(tmp_path / "song.wav")
    done = run("sepkit-ray", "separate", tmp_path / "song.wav", "-m", model, "--address", cluster, "--cpus", 64)
    assert done.returncode == 2
    assert done.stderr.endswith("Error: a worker takes 64 CPU, and the cluster has 2 CPU\n")
