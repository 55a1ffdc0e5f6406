"""Configs: TOML in, a validated RunConfig out, and errors that say where and what."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepkit import config as configs
from sepkit.config import Shortcuts
from sepkit.errors import ConfigError
from tests.conftest import CONFIGS


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_config_is_valid_and_survives_a_dump(path, tmp_path):
    loaded = configs.load(path)
    copy = tmp_path / "copy.toml"
    copy.write_text(configs.dump_toml(loaded))
    assert configs.load(copy) == loaded


def test_vocals_is_the_run_that_was_asked_for():
    run = configs.load(CONFIGS / "vocals.toml")
    assert (run.audio.sample_rate, run.audio.channels, run.audio.sources) == (22050, 1, ("vocals",))
    assert run.model.model_dump()["n_fft"] == 1024
    assert run.model.model_dump()["hop_length"] == 256
    assert (run.train.optimizer.name, run.train.optimizer.weight_decay) == ("adam", 1e-5)
    assert [loss.name for loss in run.losses] == ["l1"]
    assert (run.train.batch_size, run.train.patience, run.train.precision) == (32, 15, "auto")


def test_four_stems_is_one_network_for_four_sources():
    assert configs.load(CONFIGS / "four-stems.toml").audio.sources == ("vocals", "drums", "bass", "other")


def test_no_default_is_null():
    def walk(value):
        assert value is not None
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(child)

    walk(configs.load(None).model_dump(mode="json"))


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epoch=3", ["train", '"epoch"', 'Did you mean "epochs"?']),
        ("model.hiden=3", ["model", '"hiden"', 'Did you mean "hidden"?']),
        ("model.name=crn", ["model", '"crn"', 'Did you mean "crnn"?']),
        ("losses.0.name=l2", ["losses.0", '"l2"', "l1, l1_magnitude, l1_snr, mse"]),
        ("train.batch_size=many", ['train.batch_size: "many" is not a whole number']),
        (
            "train.optimizer.name=adamm",
            ['train.optimizer.name: "adamm" is none of "adam", "adamw" or "sgd". Did you mean "adam"?'],
        ),
        ("train.optimizer.lr=inf", ["train.optimizer.lr: inf is not finite"]),
        ('audio.sources=["../x"]', ["audio.sources", "file name"]),
        ('audio.sources=["a", "a"]', ["audio.sources", "once"]),
        ("separate.residual=vocals", ["residual", '"vocals"']),
        ("model.n_fft=1000", ["model", "multiple of all frequency strides"]),
        ("dataset.0.name=folder", ['"dataset"', 'Did you mean "datasets"?']),
        ("model=3", ["model", "table with a name", "crnn"]),
    ],
)
def test_an_error_names_the_location_the_value_and_the_candidates(override, parts):
    with pytest.raises(ConfigError) as caught:
        configs.load(CONFIGS / "vocals.toml", [override])
    for part in parts:
        assert part in str(caught.value)


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError, match=r"audio\.channels.*train\.epochs"):
        configs.load(None, ["audio.channels=0", "train.epochs=0"])


def test_set_reads_toml_and_takes_a_bare_word_as_a_string():
    run = configs.load(
        CONFIGS / "vocals.toml",
        ["seed=7", "separate.residual=rest_of_it", 'audio.sources=["drums"]', "datasets.0.root=elsewhere", "seed = 8"],
    )
    assert (run.seed, run.separate.residual, run.audio.sources) == (8, "rest_of_it", ("drums",))
    assert run.datasets[0].model_dump()["root"] == Path("elsewhere")


@pytest.mark.parametrize(
    "override",
    ["seed", "=3", "a..b=1", "train.epochs.x=1", "datasets.4.root=x", "datasets.x.root=y"],
)
def test_a_malformed_override_is_refused(override):
    with pytest.raises(ConfigError, match="--set"):
        configs.load(CONFIGS / "vocals.toml", [override])


def test_an_entry_of_a_list_that_is_not_there_says_how_to_make_one():
    with pytest.raises(ConfigError, match=r"augmentations=\[\{\.\.\.\}\]"):
        configs.load(None, ["augmentations.0.name=gain"])


def test_a_byte_order_mark_does_no_harm_and_a_folder_is_no_config(tmp_path):
    (tmp_path / "c.toml").write_text("seed = 3\n", encoding="utf-8-sig")
    assert configs.load(tmp_path / "c.toml").seed == 3
    with pytest.raises(ConfigError, match="no config file"):
        configs.load(tmp_path)


def test_a_config_that_is_missing_names_those_beside_it_or_says_how_to_write_one(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no config file .* Write one .*: mkdir -p .*configs; sepkit config show > .*configs.c\.toml"
    ):
        configs.load(tmp_path / "configs" / "c.toml")
    (tmp_path / "instruments.toml").touch()
    with pytest.raises(ConfigError, match=r"no config file .*c\.toml\. In .*: instruments\.toml"):
        configs.load(tmp_path / "c.toml")


def test_data_dir_keeps_the_groups_of_a_plain_folder(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[[datasets]]\nname = "folder"\nroot = "a"\ngroup = "^[^_]+"\n')
    dataset = configs.load(path, (), Shortcuts(data_dir=Path("b"))).datasets[0].model_dump()
    assert (dataset["root"], dataset["group"]) == (Path("b"), "^[^_]+")


def test_data_dir_replaces_another_corpus():
    dataset = configs.load(CONFIGS / "tiny-cpu.toml", (), Shortcuts(data_dir=Path("b"))).datasets
    assert [(d.name, d.model_dump()["root"]) for d in dataset] == [("folder", Path("b"))]


def test_a_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        configs.load(None).train.epochs = 3


def test_the_schema_describes_components_and_rejects_unknown_keys():
    schema = configs.json_schema()
    models = schema["properties"]["model"]["anyOf"]
    crnn = next(option for option in models if option["title"] == "crnn")
    assert crnn["additionalProperties"] is False
    assert "hop_length" in crnn["properties"]
    assert {option["title"] for option in schema["properties"]["losses"]["items"]["anyOf"]} >= {"l1", "mse"}


KEYS = st.sampled_from(["train", "epochs", "losses", "0", "name", "audio", "sources", "datasets", "root", "seed", "x"])


@given(st.lists(KEYS, min_size=1, max_size=4), st.sampled_from(["3", "x", '"y"', "[]", "{}", '["a"]', "1e-9", ""]))
def test_no_override_raises_anything_but_a_config_error(path, value):
    override = f"{'.'.join(path)}={value}"
    for shortcuts in (Shortcuts(), Shortcuts(Path("d"), "drums", 4, 2)):
        try:
            configs.load(CONFIGS / "vocals.toml", [override], shortcuts)
        except ConfigError as error:
            assert str(error)  # noqa: PT017
