"""The promises of a trained model: a file that gives it back by name, and stems that add up to the song."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sepkit import config as configs
from sepkit.atomic import Commit
from sepkit.audio.read import read
from sepkit.audio.writing.writer import write_wav
from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.errors import SepkitError, reason
from sepkit.export import sealed
from sepkit.songs.separator import Separator
from sepkit.testing.built_network import BuiltNetwork, noise_for
from sepkit.testing.signals import noise

_RESIDUAL = "remaining"
# Another rate, channel count and length than those of any model.
_SONG_RATE, _SONG_FRAMES = 11025, 27001


class ModelFilePromises(BuiltNetwork):
    """The part of a model's suite about its file."""

    def test_a_model_file_gives_back_its_weights_and_output(self, tmp_path: Path) -> None:
        """Written with its manifest and loaded by its name it is the same network; nothing is pickled."""
        network, loaded = self._kept(tmp_path)
        assert loaded.manifest.model == self.component, f"the file holds other settings: {loaded.manifest.model!r}"
        again = _network_of(loaded)
        weights = network.state_dict()
        changed = [name for name, tensor in again.state_dict().items() if not torch.equal(tensor, weights[name])]
        assert not changed, f"weights changed on their way through a file: {', '.join(changed)}"
        mixture = noise_for(self.audio, 1)
        with torch.no_grad():
            off = float((network(mixture) - again(mixture)).abs().max())
        assert off <= 1e-6, (
            f"the loaded network gives samples that differ by {off:.2g}: something that it depends on is no "
            "parameter, no buffer and no setting, so the file does not hold it"
        )

    def test_separates_a_song_into_stems_that_add_up(self, tmp_path: Path) -> None:
        """A stereo song at another rate comes out of a model file at its own rate, channels and length."""
        _, loaded = self._kept(tmp_path)
        song = noise(2, _SONG_FRAMES)
        write_wav(tmp_path / "song.wav", song, _SONG_RATE, "float")
        separator = Separator(loaded, torch.device("cpu"), backend="torch")
        try:
            written = separator.separate_file(tmp_path / "song.wav", tmp_path / "stems", bit_depth="float").files
        except Exception as error:  # networks may raise anything
            raise AssertionError(f"a song cannot be separated: {reason(error)}") from error
        stems = {name: read(path) for name, path in written.items()}
        assert set(stems) == {*self.audio.sources, _RESIDUAL}
        for name, (samples, rate) in stems.items():
            assert (samples.shape, rate) == (song.shape, _SONG_RATE), f"the stem {name} has another shape or rate"
        off = float(np.abs(sum(samples for samples, _ in stems.values()) - song).max())
        assert off <= 1e-5, f"the stems add up to the song only to {off:.2g}"

    def test_mask_network_can_be_exported(self, tmp_path: Path) -> None:
        """As an ONNX graph that gives the same masks, for any batch and number of frames."""
        network, loaded = self._kept(tmp_path)
        if not hasattr(network, "mask_network"):
            pytest.skip("there is no mask_network, so PyTorch runs the model")
        try:
            sealed.export(loaded, network)
        except SepkitError as error:
            pytest.fail(f"{error}; call it something else than mask_network if it is not meant to be exported")

    def _kept(self, folder: Path) -> tuple[nn.Module, ModelFile]:
        """Return a network, and the file that it was written to, loaded again."""
        network, path = self.network(), folder / "model.safetensors"
        audio = {"sample_rate": self.audio.sample_rate, "channels": self.audio.channels, "sources": self.audio.sources}
        separate = {"chunk_seconds": 1.0, "residual": _RESIDUAL}
        try:
            config = configs.validate(
                {"audio": audio, "model": self.component.model_dump(mode="json"), "separate": separate}, "the model"
            )
            with Commit() as commit:
                model_file.stage(commit, path, network, model_file.manifest_of(config))
            return network, model_file.load(path)
        except (SepkitError, TypeError, AttributeError) as error:
            pytest.fail(f"the model cannot be kept in a file: {reason(error)}")


def _network_of(loaded: ModelFile) -> nn.Module:
    try:
        return loaded.network()
    except SepkitError as error:
        pytest.fail(f"the file cannot be loaded again: {error}")
