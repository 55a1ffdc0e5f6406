"""Losses that break one promise each, and the promises that every component makes, broken by losses too."""

from typing import Any, ClassVar

from pydantic import ConfigDict
from pydantic_core import core_schema

from sepkit import LossConfig, hookimpl


class Good(LossConfig):
    """Mean absolute error."""

    name: str = "good_loss"
    fails: ClassVar[dict[str, str]] = {}

    def build(self, audio):
        return self.loss

    def loss(self, estimate, target):
        return (estimate - target).abs().mean()


class NotFound(Good):
    """Not returned by the hook."""

    name: str = "not_found"
    fails: ClassVar = {
        "test_is_found_by_its_name": r'unknown loss "not_found".*return NotFound from its hook',
        "test_settings_survive_a_config_file": "unknown loss",
    }


class NoSummary(Good):
    name: str = "no_summary"
    fails: ClassVar = {"test_says_in_one_line_what_it_is": "NoSummary has no docstring"}


class Nothing(Good):
    """A setting without a value."""

    name: str = "nothing"
    limit: int | None = None
    fails: ClassVar = {"test_settings_survive_a_config_file": "no None"}


class Lenient(Good):
    """Takes mistyped settings."""

    model_config = ConfigDict(extra="ignore")
    name: str = "lenient"
    fails: ClassVar = {"test_an_unknown_setting_is_refused": "does not exist is accepted"}

    @classmethod
    def model_validate(cls, obj, **more):
        return super().model_validate({k: v for k, v in obj.items() if k in cls.model_fields}, **more)


class Changeable(Good):
    """Not frozen."""

    model_config = ConfigDict(frozen=False)
    name: str = "changeable"
    fails: ClassVar = {"test_settings_are_frozen": "leave `frozen`"}


class Decibels(float):
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls, serialization=core_schema.plain_serializer_function_ser_schema(float)
        )


class Indescribable(Good):
    """A setting of a type without a schema."""

    name: str = "indescribable"
    level: Decibels = Decibels(0)
    fails: ClassVar = {"test_settings_have_a_json_schema": "cannot describe it"}


class NoScalar(Good):
    """One number, but in a vector."""

    name: str = "no_scalar"
    fails: ClassVar = {"test_value_is_a_scalar": r"returns a scalar, not \[1\]"}

    def loss(self, estimate, target):
        return (estimate - target).abs().mean()[None]


class OneChannel(Good):
    """Deaf on the right ear."""

    name: str = "one_channel"
    fails: ClassVar = {"test_gradient_reaches_every_part_of_the_estimate": r"\[\[0, 0, 1\], .*of the estimate"}

    def loss(self, estimate, target):
        return (estimate - target)[:, :, 0].abs().mean()


class PrefersQuiet(Good):
    """Lowest for half of the target."""

    name: str = "prefers_quiet"
    fails: ClassVar = {"test_no_estimate_is_better_than_the_target": "the target itself costs"}

    def loss(self, estimate, target):
        return (estimate - 0.8 * target).abs().mean()


class Wavy(Good):
    """Rises and falls on the way to the target."""

    name: str = "wavy"
    fails: ClassVar = {"test_a_better_estimate_is_lower": "come nearer to the target cost"}

    def loss(self, estimate, target):
        return (1 - (200 * (estimate - target)).cos()).mean()


class Ratio(Good):
    """A ratio in decibels without a floor."""

    name: str = "ratio"
    fails: ClassVar = {"test_silence_is_finite": "a silent target costs inf"}

    def loss(self, estimate, target):
        error, level = ((x.flatten(2).abs().mean(-1)) for x in (estimate - target, target))
        return (error / level).mean()


class Writer(Good):
    """Sets the first sample of the target."""

    name: str = "loss_writer"
    fails: ClassVar = {"test_inputs_stay_as_they_are": "writes into the target"}

    def loss(self, estimate, target):
        target[..., 0] = 0
        return (estimate - target).abs().mean()


class Summed(Good):
    """The sum over the batch."""

    name: str = "summed"
    fails: ClassVar = {"test_a_batch_costs_the_mean_of_its_chunks": "a batch of 3 costs"}

    def loss(self, estimate, target):
        return (estimate - target).abs().mean((1, 2, 3)).sum()


class AllSources(Good):
    """Asks for each source by its number."""

    name: str = "all_sources"
    fails: ClassVar = {"test_chunks_of_one_source_are_taken": "chunks of one source, .*fail: index 1"}

    def build(self, audio):
        return lambda estimate, target: (
            sum(self.loss(estimate[:, n], target[:, n]) for n in range(len(audio.sources))) / len(audio.sources)
        )


class LongWindow(Good):
    """A window that reflects at the edges."""

    name: str = "long_window"
    fails: ClassVar = {"test_the_shortest_chunks_are_taken": "a chunk of 0.1 s fails: .*[Pp]adding"}

    def loss(self, estimate, target):
        from torch.nn.functional import pad

        return pad((estimate - target).abs().flatten(0, 2)[:, None], (1000, 1000), "reflect").mean()


class StereoOnly(Good):
    """Mid and side."""

    name: str = "stereo_only_loss"
    fails: ClassVar = {"test_mono_is_taken": "index 1 is out of bounds"}

    def loss(self, estimate, target):
        left, right = (estimate - target)[:, :, 0], (estimate - target)[:, :, 1]
        return (left + right).abs().mean() + (left - right).abs().mean()


class Random(Good):
    """A little chance."""

    name: str = "random_loss"
    fails: ClassVar = {"test_the_same_twice": "the second time"}

    def loss(self, estimate, target):
        import torch

        return (estimate - target).abs().mean() + 1e-6 * torch.rand(())


ALL = [
    Good, NotFound, NoSummary, Nothing, Lenient, Changeable, Indescribable, NoScalar, OneChannel, PrefersQuiet, Wavy,
    Ratio, Writer, Summed, AllSources, LongWindow, StereoOnly, Random,
]  # fmt: skip


@hookimpl
def sepkit_losses():
    return [cls for cls in ALL if cls is not NotFound]
