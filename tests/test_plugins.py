"""Plugins as strangers write them: real entry points in temporary folders, working and broken ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from sepkit import plugins
from sepkit.errors import PluginError
from sepkit.registry import LOSSES, MODELS

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


def test_a_model_file_without_its_plugin_names_the_package_and_how_to_get_it(
    install_plugin, sepkit, small_config, songs, tmp_path, monkeypatch
):
    install_plugin("sepkit-unet", "unet", "sepkit_unet", UNET.format(name="unet"))
    run = tmp_path / "run"
    sepkit("train", small_config, "--data-dir", songs, "--output-dir", run, "--set", 'model={name="unet"}')
    monkeypatch.setenv("SEPKIT_DISABLE_PLUGINS", "sepkit-unet")
    plugins.external.cache_clear()
    done = sepkit("separate", songs / "one" / "mixture.wav", "-m", run / "best_model.safetensors", "-o", tmp_path / "o")
    assert done.code == 1
    assert "sepkit-unet 1.2.3" in done.err
    assert "pip install sepkit-unet==1.2.3" in done.err


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


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_plugin_of_the_readme_installs_by_pip_trains_and_separates(readme, small_config, songs, tmp_path):
    toml = blocks(readme, "toml")[0]
    python = next(block for block in blocks(readme, "python") if "hookimpl" in block)
    package, site, run = tmp_path / "sepkit-fir", tmp_path / "site", tmp_path / "run"
    package.mkdir()
    (package / "sepkit_fir.py").write_text(python)
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    (package / "pyproject.toml").write_text(build + toml)
    pip = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, package]
    module(*pip)
    env = {**os.environ, "PYTHONPATH": str(site)}
    listed = json.loads(module("sepkit", "plugins", "list", "--json", env=env))
    assert [row["provides"] for row in listed["plugins"] if row["distribution"] == "sepkit-fir"] == [{"model": ["fir"]}]
    module(
        "sepkit",
        "train",
        small_config,
        "--data-dir",
        songs,
        "--output-dir",
        run,
        "--set",
        'model={name="fir"}',
        env=env,
    )
    module("sepkit", "separate", songs / "one" / "mixture.wav", "-m", run, "-o", tmp_path / "out", env=env)
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
