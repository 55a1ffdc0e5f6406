"""Plugins as strangers write them: real entry points in temporary folders, working and broken ones."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile

from sepkit import config as configs
from sepkit import plugins
from sepkit.checkpoints import model_file
from sepkit.errors import PluginError
from sepkit.plugins import Plugin
from sepkit.registry import LOSSES, MODELS
from tests.training.runs import end, start

UNET = '''
from typing import Literal
from sepkit import AudioSpec, ModelConfig, hookimpl

class UNet(ModelConfig):
    """Magnitude-mask U-Net."""
    name: Literal["{name}"] = "{name}"
    width: int = 32

    def build(self, audio: AudioSpec):
        from torch import nn

        class Module(nn.Module):
            def __init__(self, config, audio):
                super().__init__()
                self.sources = len(audio.sources)
                self.gain = nn.Parameter(0.5 * __import__("torch").ones(self.sources, 1, config.width).mean(-1, True))

            def forward(self, mixture):
                return mixture[:, None] * self.gain

        return Module(self, audio)

@hookimpl
def sepkit_models():
    return [UNet]
'''
MISSPELT = "from sepkit import hookimpl\n@hookimpl\ndef sepkit_modles():\n    return []\n"


def test_a_plugin_trains_and_separates_by_name(install_plugin, sepkit, small_config, songs, tmp_path):
    install_plugin("sepkit-unet", "unet", "sepkit_unet", UNET.format(name="unet"))
    run = tmp_path / "run"
    done = sepkit(
        "train", small_config, "--data-dir", songs, "--output-dir", run, "--set", 'model={name="unet", width=8}'
    )
    assert done.code == 0, done.err
    info = sepkit("models", "info", run / "best_model.safetensors", "--json").json
    assert info["provider"] == {"distribution": "sepkit-unet", "version": "1.2.3"}
    assert info["model"] == {"name": "unet", "width": 8}
    mixture = songs / "one" / "mixture.wav"
    done = sepkit("separate", mixture, "-m", run / "best_model.safetensors", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert soundfile.info(tmp_path / "out" / "mixture" / "vocals.wav").frames == soundfile.info(mixture).frames


@pytest.fixture
def unet_model(install_plugin, sepkit, small_config, songs, tmp_path):
    """A model file whose network comes from sepkit-unet 1.2.3."""
    install_plugin("sepkit-unet", "unet", "sepkit_unet", UNET.format(name="unet"))
    run = tmp_path / "run"
    sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", 'model={name="unet"}')
    return run / "best_model.safetensors"


def test_a_model_file_without_its_plugin_names_the_package_and_how_to_get_it(unet_model, sepkit, songs, tmp_path):
    shutil.rmtree(tmp_path / "site" / "sepkit_unet-1.2.3.dist-info")
    plugins.external.cache_clear()
    done = sepkit("separate", songs / "one" / "mixture.wav", "-m", unet_model, "-o", tmp_path / "o")
    assert done.code == 1
    assert "sepkit-unet 1.2.3" in done.err
    assert "pip install sepkit-unet==1.2.3" in done.err


@pytest.mark.parametrize(
    ("source", "requires", "disabled", "said"),
    [
        ("", "sepkit>=99", "", "refused: it requires sepkit>=99, and this is sepkit "),
        ("raise SystemExit(3)", "", "", "broken: SystemExit: 3"),
        ("", "", "SepKit-UNet", "disabled: it stands in SEPKIT_DISABLE_PLUGINS"),
    ],
)
def test_a_model_file_whose_plugin_is_installed_but_not_used_says_so_and_why(
    unet_model, install_plugin, sepkit, monkeypatch, source, requires, disabled, said
):
    shutil.rmtree(unet_model.parent.parent / "site" / "sepkit_unet-1.2.3.dist-info")
    install_plugin("SepKit-UNet", "unet", "sepkit_unet_2", source, "2.0", requires)
    monkeypatch.setenv("SEPKIT_DISABLE_PLUGINS", disabled)
    plugins.external.cache_clear()
    done = sepkit("models", "info", unet_model)
    assert done.code == 1
    error = done.err.splitlines()[-1]
    wanted = f'{unet_model}: needs the model "unet" of sepkit-unet 1.2.3. SepKit-UNet 2.0 is installed, but {said}'
    assert error.startswith(f"Error: {wanted}")
    assert "Install it" not in error


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def (", "SyntaxError"),
        (MISSPELT, "sepkit_modles"),
        (
            "from sepkit import hookimpl\n@hookimpl\ndef sepkit_models():\n    return [int]\n",
            "subclasses of ModelConfig",
        ),
        (
            "from sepkit import hookimpl\n@hookimpl\ndef sepkit_models():\n    raise RuntimeError('no')\n",
            "RuntimeError",
        ),
    ],
)
def test_a_broken_plugin_costs_one_line_and_stops_nothing(install_plugin, sepkit, source, why):
    install_plugin("sepkit-broken", "broken", "sepkit_broken", source, "0.9")
    install_plugin("sepkit-zunet", "unet", "sepkit_zunet", UNET.format(name="zunet"))
    assert sepkit("--help").code == 0
    done = sepkit("plugins", "list", "--json")
    warnings = done.err.strip().splitlines()
    assert len(warnings) == 1
    assert "sepkit-broken 0.9" in warnings[0]
    rows = {row["distribution"]: row for row in done.json["plugins"]}
    assert why in rows["sepkit-broken"]["error"]
    assert rows["sepkit-zunet"]["provides"] == {"model": ["zunet"]}


def test_built_in_names_import_no_entry_point(install_plugin):
    install_plugin("sepkit-broken", "broken", "sepkit_broken", "raise SystemExit(3)")
    MODELS.get("crnn")
    assert "sepkit_broken" not in sys.modules
    assert plugins.external.cache_info().currsize == 0


def test_two_plugins_with_one_entry_point_name_both_load(install_plugin):
    install_plugin("sepkit-a", "unet", "sepkit_a", UNET.format(name="unet_a"))
    install_plugin("sepkit-b", "unet", "sepkit_b", UNET.format(name="unet_b"))
    assert MODELS.get("unet_a").plugin.distribution == "sepkit-a"
    assert MODELS.get("unet_b").plugin.distribution == "sepkit-b"


def test_two_plugins_with_one_component_name_clash_only_when_asked_for(install_plugin, monkeypatch):
    install_plugin("sepkit-a", "a", "sepkit_a", UNET.format(name="unet"))
    install_plugin("sepkit-b", "b", "sepkit_b", UNET.format(name="unet"))
    assert LOSSES.get("l1").name == "l1"
    with pytest.raises(PluginError, match=r"sepkit-a 1\.2\.3 and sepkit-b 1\.2\.3.*SEPKIT_DISABLE_PLUGINS=sepkit-b"):
        MODELS.get("unet")
    monkeypatch.setenv("SEPKIT_DISABLE_PLUGINS", "sepkit-b")
    plugins.external.cache_clear()
    assert MODELS.get("unet").plugin.distribution == "sepkit-a"


def test_a_plugin_never_shadows_a_built_in(install_plugin, sepkit):
    install_plugin("sepkit-evil", "evil", "sepkit_evil", UNET.format(name="crnn"))
    assert MODELS.get("crnn").plugin.distribution == "sepkit"
    row = next(r for r in sepkit("plugins", "list", "--json").json["plugins"] if r["distribution"] == "sepkit-evil")
    assert [r["name"] for r in sepkit("models", "list", "--json").json["models"]].count("crnn") == 1
    assert row["ignored"] == ["model crnn: built in"]


def test_an_unknown_name_lists_what_exists_and_what_failed(install_plugin):
    install_plugin("sepkit-broken", "broken", "sepkit_broken", "import nothing_of_this_name")
    with pytest.raises(PluginError, match=r'unknown model "unet".*Known: .*crnn.*Not loaded: sepkit-broken'):
        MODELS.get("unet")


def test_the_plugin_of_the_readme_installs_by_pip_trains_and_separates(small_config, songs, tmp_path):
    assert [blocks("README.md", kind) == blocks("README.ko.md", kind) for kind in ("toml", "python")] == [True, True]
    toml = blocks("README.md", "toml")[0]
    python = next(block for block in blocks("README.md", "python") if "hookimpl" in block)
    package, site, run = tmp_path / "sepkit-fir", tmp_path / "site", tmp_path / "run"
    package.mkdir()
    (package / "sepkit_fir.py").write_text(python)
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    (package / "pyproject.toml").write_text(build + toml)
    module("pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, package)
    commands = [
        ["plugins", "list", "--json"],
        ["train", small_config, "--data-dir", songs, "--output-dir", run, "--set", 'model={name="fir"}', "--json"],
        ["separate", songs / "one" / "mixture.wav", "-m", run, "-o", tmp_path / "out", "--json"],
    ]
    ended = [end(start(*command, env={"PYTHONPATH": str(site)})) for command in commands]
    listed, _, separated = (json.loads(out) for out, _ in ended)
    assert [row["provides"] for row in listed["plugins"] if row["distribution"] == "sepkit-fir"] == [{"model": ["fir"]}]
    assert separated["ok"] == 1
    assert {p.name for p in (tmp_path / "out" / "mixture").iterdir()} == {"vocals.wav", "accompaniment.wav"}


def blocks(readme, language):
    text = (Path(__file__).parent.parent / readme).read_text(encoding="utf-8")
    return [block.split("```")[0] for block in text.split(f"```{language}\n")[1:]]


def module(*args, env=None):
    command = [sys.executable, "-m", *map(str, args)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_disabled_plugins_are_named_with_or_without_spaces_and_are_no_fault(install_plugin, sepkit, monkeypatch):
    install_plugin("sepkit-a", "a", "sepkit_a", UNET.format(name="unet_a"))
    install_plugin("sepkit-b", "b", "sepkit_b", UNET.format(name="unet_b"))
    monkeypatch.setenv("SEPKIT_DISABLE_PLUGINS", "sepkit-a, sepkit-b")
    plugins.external.cache_clear()
    done = sepkit("doctor", "--json")
    assert done.code == 0
    assert done.err == ""
    with pytest.raises(PluginError, match="unknown model"):
        MODELS.get("unet_b")


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ("sepkit>=99", "sepkit>=99"),
        ("sepkit<0.1", "sepkit<0.1"),
        ("sepkit==0.0.*; python_version>'3'", "sepkit==0.0.*"),
        ("SepKit>=99,<100", "sepkit<100,>=99"),
    ],
)
def test_a_plugin_for_another_sepkit_is_refused_with_a_sentence_and_not_imported(
    install_plugin, sepkit, requires, said
):
    install_plugin("sepkit-old", "old", "sepkit_old", UNET.format(name="old"), "4.5", requires)
    install_plugin("sepkit-zunet", "unet", "sepkit_zunet", UNET.format(name="zunet"))
    listed = sepkit("plugins", "list", "--json")
    assert listed.code == 0
    (warning,) = listed.err.splitlines()
    for part in ("sepkit-old 4.5", f"it requires {said}", f"this is sepkit {plugins.BUILTIN.version}", "pip install"):
        assert part in warning
    rows = {row["distribution"]: row for row in listed.json["plugins"]}
    assert rows["sepkit-old"]["error"] in warning
    assert rows["sepkit-old"]["provides"] == {}
    assert rows["sepkit-zunet"]["provides"] == {"model": ["zunet"]}
    assert "sepkit_old" not in sys.modules
    assert "not loaded" in sepkit("plugins", "list").out


def test_the_doctor_lists_a_refused_plugin_as_refused_and_finds_no_fault(install_plugin, sepkit):
    install_plugin("sepkit-old", "old", "sepkit_old", UNET.format(name="old"), "4.5", "sepkit>=99")
    done = sepkit("doctor", "--json")
    check = next(c for c in done.json["checks"] if c["name"] == "plugin sepkit-old:old")
    assert check["state"] == "refused"
    assert "it requires sepkit>=99" in check["detail"]
    assert done.code == 0


def test_asking_for_what_a_refused_plugin_offers_is_one_line_and_exit_2(install_plugin, sepkit, small_config, songs):
    install_plugin("sepkit-old", "old", "sepkit_old", UNET.format(name="old"), "4.5", "sepkit>=99")
    done = sepkit("train", small_config, "--data-dir", songs, "--set", 'model={name="old"}')
    assert done.code == 2
    warning, error = done.err.splitlines()
    assert "it requires sepkit>=99" in warning
    assert error.startswith("Error: ")
    assert "Not loaded: sepkit-old" in error
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "sepkit",
        "sepkit>=0.1",
        "sepkit<0.1; extra == 'old'",
        "sepkit<0.1; python_version<'3'",
        "sepkit-other>=99",
        "??",
    ],
)
def test_a_requirement_that_does_not_exclude_this_sepkit_is_no_hindrance(install_plugin, wanted):
    install_plugin("sepkit-new", "new", "sepkit_new", UNET.format(name="new"), requires=wanted)
    assert MODELS.get("new").plugin.distribution == "sepkit-new"


@pytest.mark.parametrize(
    ("running", "fits"), [("1.0.dev3", False), ("1.0rc1", False), ("1.0", True), ("1.0+local", True), ("1.1rc1", True)]
)
def test_versions_between_releases_count_as_pep_440_orders_them(install_plugin, monkeypatch, running, fits):
    monkeypatch.setattr(plugins, "BUILTIN", Plugin("sepkit", running, "builtin"))
    install_plugin("sepkit-a", "a", "sepkit_a", UNET.format(name="unet_a"), requires="sepkit>=1.0,<2")
    assert {p.distribution: not p.error for p in plugins.external()[1]}["sepkit-a"] == fits


@pytest.mark.parametrize("source", ["import nothing_of_this_name", "raise SystemExit(3)"])
def test_row_29_asking_for_what_a_broken_plugin_should_offer_is_exit_2(
    install_plugin, sepkit, small_config, songs, source
):
    install_plugin("sepkit-broken", "broken", "sepkit_broken", source, "0.9")
    done = sepkit("train", small_config, "--data-dir", songs, "--set", 'model={name="unet"}')
    assert done.code == 2
    warning, error = done.err.splitlines()
    assert "sepkit-broken 0.9" in warning
    assert error.startswith("Error: ")
    assert "Not loaded: sepkit-broken" in error


def test_row_29_asking_for_a_name_that_two_plugins_offer_is_exit_2_and_all_else_works(
    install_plugin, sepkit, small_config, songs
):
    install_plugin("sepkit-a", "a", "sepkit_a", UNET.format(name="unet"))
    install_plugin("sepkit-b", "b", "sepkit_b", UNET.format(name="unet"))
    done = sepkit("train", small_config, "--data-dir", songs, "--set", 'model={name="unet"}')
    assert done.code == 2
    (error,) = done.err.splitlines()
    assert "sepkit-a 1.2.3 and sepkit-b 1.2.3" in error
    for verb in (("--help",), ("plugins", "list"), ("models", "list"), ("doctor",), ("config", "show", small_config)):
        assert sepkit(*verb).code == 0, verb


def test_trap_a_rejected_plugin_leaves_nothing_of_itself_behind(install_plugin):
    source = UNET.format(name="unet") + MISSPELT.split("\n", 1)[1]
    install_plugin("sepkit-half", "half", "sepkit_half", source)
    install_plugin("sepkit-zunet", "unet", "sepkit_zunet", UNET.format(name="zunet"))
    manager, found = plugins.external()
    assert "sepkit_modles" in next(p.error for p in found if p.distribution == "sepkit-half")
    assert not manager.has_plugin("sepkit-half:half")
    assert "unet" not in {entry.name for entry in MODELS.entries()}
    assert MODELS.get("zunet").plugin.distribution == "sepkit-zunet"


def test_trap_the_settings_of_a_plugin_stay_in_what_is_dumped(install_plugin):
    install_plugin("sepkit-unet", "unet", "sepkit_unet", UNET.format(name="unet"))
    config = configs.validate({"model": {"name": "unet", "width": 7}}, "test")
    assert config.model_dump()["model"] == {"name": "unet", "width": 7}
    assert tomllib.loads(configs.dump_toml(config))["model"] == {"name": "unet", "width": 7}
    assert model_file.manifest_of(config)["model"] == {"name": "unet", "width": 7}


CORPUS = '''
import os
from typing import Literal
from sepkit import DatasetConfig, hookimpl
from sepkit.datasets.folder import Folder

with open(os.environ["IMPORTS"], "a") as imports:
    imports.write(f"{os.getpid()} ")

class Corpus(DatasetConfig):
    """Songs in a folder."""
    name: Literal["corpus"] = "corpus"
    root: str

    def tracks(self, split):
        return Folder(root=self.root).tracks(split)

@hookimpl
def sepkit_datasets():
    return [Corpus]
'''


def test_trap_workers_started_with_spawn_never_import_a_plugin(install_plugin, small_config, songs, tmp_path):
    install_plugin("sepkit-corpus", "corpus", "sepkit_corpus", CORPUS)
    overrides = [f'datasets=[{{name="corpus", root="{songs}"}}]', "train.workers=1"]
    code = (
        "import multiprocessing, sys; from contextlib import closing; from pathlib import Path\n"
        "from sepkit import config; from sepkit.data.loader import Data\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method('spawn')\n"
        "    with closing(Data(config.load(Path(sys.argv[1]), sys.argv[2:])).train_batches(0)) as batches:\n"
        "        assert len(next(batches)['mixture'])\n"
    )
    script = tmp_path / "spawning.py"
    script.write_text(code)
    command = [sys.executable, script, small_config, *overrides]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "IMPORTS": str(tmp_path / "imports")}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "imports").read_text().split()) == 1


def test_trap_torchaudio_is_never_asked_to_read_or_write():
    gone = {"load", "save", "info", "list_audio_backends", "io", "sox_effects", "backend"}
    used = [
        f"{path.name}:{node.lineno}"
        for path in (Path(plugins.__file__).parent).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "torchaudio"
        and node.attr in gone
    ]
    assert used == []


def test_trap_the_framewise_sdr_works_where_museval_cannot_be_imported():
    code = (
        "import sys\nfor name in ('museval', 'musdb', 'stempeg'): sys.modules[name] = None\n"
        "import numpy as np; from sepkit import AudioSpec; from sepkit.registry import METRICS\n"
        "signal = np.ones((1, 1, 8000), np.float32)\n"
        "measure = METRICS.get('sdr').component().build(AudioSpec(8000))\n"
        "print(measure(signal / 2, signal, signal[0]).round(2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[6.02]]"
