"""Models that break one promise each."""

from typing import ClassVar

from sepkit import AudioSpec, ModelConfig, hookimpl


class Good(ModelConfig):
    """A gain for each source."""

    name: str = "good_model"
    fails: ClassVar[dict[str, str]] = {}
    options: ClassVar = {}

    def build(self, audio):
        from tests.testing.broken import networks

        return getattr(networks, type(self).__name__)(audio)


class NoChannel(Good):
    """[batch, source, time]"""

    name: str = "no_channel"
    fails: ClassVar = {
        "test_output_has_the_shape_of_the_contract": r"\[2, 1, 8000\] must give \[2, 1, 1, 8000\], not \[2, 1, 8000\]",
        "test_a_batch_of_one_keeps_its_shape": "must give",
        "test_odd_lengths_keep_their_shape": "must give",
        "test_very_short_inputs_keep_their_shape": "must give",
        "test_several_sources_keep_their_shape": "must give",
        "test_stereo_keeps_its_shape": "must give",
        "test_mono_keeps_its_shape": "must give",
        "test_separates_a_song_into_stems_that_add_up": "cannot be separated",
    }


class Incomplete(Good):
    """Says that its estimates add up, and gives less."""

    name: str = "incomplete"
    fails: ClassVar = {"test_estimates_add_up_where_the_model_says_so": "differ from the mixture by"}

    def adds_up(self, audio):
        return True


class Squeezed(Good):
    """Loses a batch of one."""

    name: str = "squeezed"
    fails: ClassVar = {
        "test_a_batch_of_one_keeps_its_shape": r"\[1, 1, 8000\] must give \[1, 1, 1, 8000\], not \[1, 1, 8000\]",
        "test_separates_a_song_into_stems_that_add_up": "cannot be separated",
    }


class WholeHops(Good):
    """Cuts to whole hops."""

    name: str = "whole_hops"
    fails: ClassVar = {
        "test_odd_lengths_keep_their_shape": r"\[2, 1, 8001\] must give .*not \[2, 1, 1, 8000\]",
        "test_separates_a_song_into_stems_that_add_up": "another shape",
    }


class Reflecting(Good):
    """Reflects at the edges."""

    name: str = "reflecting"
    fails: ClassVar = {"test_very_short_inputs_keep_their_shape": r"an input of \[2, 1, 1\] fails: .*[Pp]adding"}


class OneSource(Good):
    """One source only."""

    name: str = "one_source"
    fails: ClassVar = {"test_several_sources_keep_their_shape": r"\[2, 3, 1, 8000\], not \[2, 1, 1, 8000\]"}


class OneChannel(Good):
    """One channel only."""

    name: str = "one_channel_model"
    fails: ClassVar = {"test_stereo_keeps_its_shape": r"\[2, 1, 2, 8000\], not \[2, 1, 1, 8000\]"}


class TwoChannels(Good):
    """Two channels only, and does not say so."""

    name: str = "two_channels"
    options: ClassVar = {"audio": AudioSpec(8000, 2)}
    fails: ClassVar = {"test_mono_keeps_its_shape": r"an input of \[2, 1, 8000\] fails: index 1"}


class Unused(Good):
    """A layer that is never called."""

    name: str = "unused"
    fails: ClassVar = {"test_every_weight_gets_a_gradient": "reaches left_over.bias, left_over.weight; use them"}


class Weightless(Good):
    """Nothing to learn."""

    name: str = "weightless"
    fails: ClassVar = {
        "test_every_weight_gets_a_gradient": "no weight that can be trained",
        "test_gradients_are_finite_for_silence": "does not require grad",
    }


class Root(Good):
    """A square root at zero."""

    name: str = "root"
    fails: ClassVar = {"test_gradients_are_finite_for_silence": "gradients that are not finite: gain"}


class Normalised(Good):
    """Divides by the level."""

    name: str = "normalised_model"
    fails: ClassVar = {
        "test_output_is_finite_for_silence": "silence gives samples that are NaN",
        "test_gradients_are_finite_for_silence": "not finite: gain",
    }


class Overflowing(Good):
    """Loud songs overflow."""

    name: str = "overflowing"
    fails: ClassVar = {"test_output_is_finite_for_full_scale_noise": "full-scale noise gives samples that are NaN"}


class Dropping(Good):
    """Drops samples in evaluation mode."""

    name: str = "dropping"
    fails: ClassVar = {
        "test_evaluation_mode_gives_the_same_twice": "other samples the second time",
        "test_evaluation_mode_keeps_the_chunks_of_a_batch_apart": "a chunk changes",
        "test_a_model_file_gives_back_its_weights_and_output": "differ by",
    }


class Mixing(Good):
    """Subtracts the mean of the batch."""

    name: str = "mixing"
    fails: ClassVar = {"test_evaluation_mode_keeps_the_chunks_of_a_batch_apart": "with the others of its batch"}


class Writer(Good):
    """Sets the first sample of its input."""

    name: str = "model_writer"
    fails: ClassVar = {"test_input_stays_as_it_is": "writes into its input; copy it"}


class Forgetful(Good):
    """A number that is no weight."""

    name: str = "forgetful"
    fails: ClassVar = {"test_a_model_file_gives_back_its_weights_and_output": "is no parameter, no buffer"}


class ExtraState(Good):
    """State that is no tensor."""

    name: str = "extra_state"
    fails: ClassVar = {
        "test_a_model_file_gives_back_its_weights_and_output": "cannot be kept in a file",
        "test_separates_a_song_into_stems_that_add_up": "cannot be kept in a file",
        "test_mask_network_can_be_exported": "cannot be kept in a file",
    }


class Peeking(Good):
    """Looks at its weights while it is built."""

    name: str = "peeking"
    fails: ClassVar = {
        "test_a_model_file_gives_back_its_weights_and_output": "cannot be loaded again: .*cannot be built",
        "test_separates_a_song_into_stems_that_add_up": "cannot be built",
    }


class Differentiating(Good):
    """Needs gradients where there are none."""

    name: str = "differentiating"
    fails: ClassVar = {"test_separates_a_song_into_stems_that_add_up": "a song cannot be separated: RuntimeError"}


class Masked(Good):
    """A good model with a mask network."""

    name: str = "masked"

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.Masked(audio, networks.GoodMasks())


class OneMask(Masked):
    """One mask for all frames."""

    name: str = "one_mask"
    fails: ClassVar = {
        "test_mask_network_takes_any_number_of_frames_and_chunks": r"gives \[1, 1, 16, 1\] for \[1, 1, 16, 500\]",
        "test_mask_network_can_be_exported": "call it something else",
    }
    options: ClassVar = {}

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.Masked(audio, networks.OneMask())


class TwoInputs(Masked):
    """A mask network of two inputs."""

    name: str = "two_inputs"
    fails: ClassVar = {
        "test_mask_network_takes_any_number_of_frames_and_chunks": "with one tensor",
        "test_mask_network_can_be_exported": "does not call it with one tensor",
    }

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.TwoInputs(audio, networks.TwoInputMasks())


class Transformed(Masked):
    """A mask network with a transform in it."""

    name: str = "transformed"
    fails: ClassVar = {"test_mask_network_can_be_exported": "cannot be exported to ONNX"}

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.Masked(audio, networks.Transformed())


class Fronted(Masked):
    """A good model with a spectral front."""

    name: str = "fronted"

    def spectral_front(self, trained, wanted):
        from tests.testing.broken.fronts import Front

        return Front(len(trained.sources)) if trained == wanted else None


class LouderFront(Fronted):
    """A front with another scale."""

    name: str = "louder_front"
    fails: ClassVar = {
        "test_spectral_front_gives_the_estimates_of_the_network": r"for \[2, 1, 8000\] front and network differ by"
    }

    def spectral_front(self, trained, wanted):
        from tests.testing.broken.fronts import Front

        return Front(len(trained.sources), gain=1.001) if trained == wanted else None


class ScribblingFront(Fronted):
    """A front that writes into the mixture."""

    name: str = "scribbling_front"
    fails: ClassVar = {"test_spectral_front_gives_the_estimates_of_the_network": "writes into its input"}

    def spectral_front(self, trained, wanted):
        from tests.testing.broken.fronts import Scribbling

        return Scribbling(len(trained.sources)) if trained == wanted else None


class TorchFront(Fronted):
    """A front that needs PyTorch."""

    name: str = "torch_front"
    fails: ClassVar = {"test_spectral_front_imports_no_pytorch": r"spectral_front\(\) imports torch"}

    def spectral_front(self, trained, wanted):
        from tests.testing.broken import networks

        assert networks
        return super().spectral_front(trained, wanted)


class WiderFront(Fronted):
    """A front at rates that its network does not run at."""

    name: str = "wider_front"
    fails: ClassVar = {
        "test_spectral_front_gives_the_estimates_of_the_full_band": r"gives no network, and spectral_front\(\) a front"
    }

    def spectral_front(self, trained, wanted):
        return super().spectral_front(trained, trained)


class FullBand(Good):
    """A good model that runs at any rate."""

    name: str = "full_band"

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.Good(audio)

    def full_band(self, trained, wanted):
        return self.build(wanted)


class ByRate(FullBand):
    """Other weights at another rate."""

    name: str = "by_rate"
    fails: ClassVar = {
        "test_full_band_has_the_same_weights": r"same weights: window is \(16,\) float32, not \(8,\)",
        "test_separates_a_song_into_stems_that_add_up": "weights do not fit",
    }

    def build(self, audio):
        from tests.testing.broken import networks

        return networks.ByRate(audio)


class MonoBand(FullBand):
    """One channel at another rate."""

    name: str = "mono_band"
    fails: ClassVar = {
        "test_full_band_keeps_shapes_at_its_rate_and_channels": r"\[2, 1, 2, 16000\], not \[2, 1, 1, 16000\]",
        "test_separates_a_song_into_stems_that_add_up": "a song cannot be separated: ValueError",
    }

    def full_band(self, trained, wanted):
        from tests.testing.broken import networks

        return networks.OneChannel(wanted)


ALL = [
    Good, NoChannel, Incomplete, Squeezed, WholeHops, Reflecting, OneSource, OneChannel, TwoChannels, Unused,
    Weightless, Root, Normalised, Overflowing, Dropping, Mixing, Writer, Forgetful, ExtraState, Peeking,
    Differentiating, Masked, OneMask, TwoInputs, Transformed, Fronted, LouderFront, ScribblingFront, TorchFront,
    WiderFront, FullBand, ByRate, MonoBand,
]  # fmt: skip


@hookimpl
def sepkit_models():
    return ALL
