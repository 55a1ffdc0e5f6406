"""The choice of stems: `--stems`, `--two-stems`, `--preset`, and stems that do not add up."""

import tomllib

import numpy as np
import pytest
import soundfile
import torch

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.checkpoints import model_file
from sepkit.separation import Separator
from tests.cli.test_bad_input import one_line
from tests.conftest import SMALL

FOUR = ("vocals", "drums", "bass", "other")
TORCH = ("--backend", "torch")  # without an export


def write_model(path, sources, residual="accompaniment"):
    values = tomllib.loads(SMALL)
    values["audio"]["sources"] = list(sources)
    config = configs.validate(values | {"separate": {"residual": residual}}, "small")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = config.model.build(config.audio).eval()
    with Commit() as commit:
        model_file.stage(commit, path, network, model_file.manifest_of(config))
    return path


@pytest.fixture(scope="module")
def four_stems(tmp_path_factory):
    """An untrained model of four stems without a residual, so that its stems do not add up."""
    path = tmp_path_factory.mktemp("four") / "four.safetensors"
    return write_model(path, FOUR, residual="")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, (12000, 2)), 8000, subtype="FLOAT")
    return path


@pytest.fixture
def separate(sepkit, song, tmp_path):
    """Separate the song into float files, and return {stem: samples}."""

    def run(model, *options):
        folder = tmp_path / f"o{len(list(tmp_path.iterdir()))}"
        done = sepkit("separate", song, "-m", model, "-o", folder, "--bit-depth", "float", *TORCH, *options)
        assert done.code == 0, done.err
        return {path.stem: soundfile.read(path)[0] for path in (folder / "song").iterdir()}

    return run


def test_two_stems_of_any_model_add_up_to_the_song(separate, four_stems, small_model, song):
    mixture = soundfile.read(song)[0]
    alone = separate(four_stems)
    for stem, complement in (("vocals", "instrumental"), ("drums", "no_drums")):
        two = separate(four_stems, "--two-stems", stem)
        assert set(two) == {stem, complement}
        np.testing.assert_array_equal(two[stem], alone[stem])
        np.testing.assert_allclose(two[stem] + two[complement], mixture, atol=1e-6)
    one = separate(small_model, "--two-stems", "vocals")
    np.testing.assert_array_equal(one["instrumental"], separate(small_model)["accompaniment"])


def test_complements_can_be_chosen_like_stems(separate, four_stems, song):
    mixture, alone = soundfile.read(song)[0], separate(four_stems)
    chosen = separate(four_stems, "--stems", "no_bass, vocals")
    assert set(chosen) == {"no_bass", "vocals"}
    np.testing.assert_allclose(chosen["no_bass"], mixture - alone["bass"], atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "stem"), [("karaoke", "instrumental"), ("acapella", "vocals"), ("drumless", "no_drums")]
)
def test_presets(separate, four_stems, preset, stem):
    (name, samples), *others = separate(four_stems, "--preset", preset).items()
    assert (name, others) == (stem, [])
    np.testing.assert_array_equal(samples, separate(four_stems, "--stems", stem)[stem])


def test_a_complement_never_takes_the_name_of_a_stem(separate, tmp_path, song):
    model = write_model(tmp_path / "two.safetensors", ("vocals", "instrumental"))
    two = separate(model, "--two-stems", "vocals")
    np.testing.assert_allclose(two["vocals"] + two["no_vocals"], soundfile.read(song)[0], atol=1e-6)
    named = separate(model, "--residual", "no_vocals", "--two-stems", "vocals")
    np.testing.assert_array_equal(named["without_vocals"], two["no_vocals"])


def test_from_python(four_stems, song, tmp_path):
    separator = Separator.load(four_stems, backend="torch")
    assert separator.stems == FOUR
    assert separator.available == (*FOUR, "instrumental", "no_drums", "no_bass", "no_other")
    done = separator.separate_file(song, tmp_path / "o", two_stems="other")
    assert set(done.files) == {"other", "no_other"}


def test_a_model_without_a_residual_says_that_its_stems_do_not_add_up(sepkit, four_stems, song, tmp_path):
    def said(*options):
        return sepkit("separate", song, "-m", four_stems, "-o", tmp_path / "o", "--overwrite", *TORCH, *options).err

    assert "need not add up" in said()
    assert "--residual NAME" in said()
    for options in (("--residual", "room"), ("--no-residual",), ("--two-stems", "bass"), ("--stems", "bass")):
        assert said(*options) == "", options


def test_unknown_and_contradicting_choices(sepkit, four_stems, song, tmp_path):
    command = ("separate", song, "-m", four_stems, "-o", tmp_path / "o", *TORCH)
    one_line(sepkit(*command, "--two-stems", "vocal"), 2, 'no stem "vocal"', "vocals")
    one_line(sepkit(*command, "--two-stems", "no_bass"), 2, 'no stem "no_bass"')
    one_line(sepkit(*command, "--stems", "no_bas"), 2, "no_bass")
    for pair in (("--stems", "bass"), ("--preset", "karaoke")):
        one_line(sepkit(*command, "--two-stems", "vocals", *pair), 2, "contradict each other")
    one_line(sepkit(*command, "-o", "x.wav", "--two-stems", "vocals"), 2, "one file, for 2 stems")
    assert not (tmp_path / "o").exists()
