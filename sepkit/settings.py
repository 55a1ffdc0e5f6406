"""The settings of training and of separation: `[train]` with its tables, and `[separate]`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sepkit.component import Section, check_stem_name


class OptimizerSettings(Section):
    """`[train.optimizer]`"""

    name: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="algorithm of the steps")
    lr: float = Field(default=1e-3, gt=0, description="learning rate")
    weight_decay: float = Field(default=1e-5, ge=0, description="pull of each weight towards zero")
    momentum: float = Field(default=0.9, ge=0, lt=1, description='of "sgd" only')


class ScheduleSettings(Section):
    """`[train.schedule]`"""

    name: Literal["constant", "cosine", "plateau"] = Field(
        default="constant",
        description='"cosine" falls from the learning rate to almost zero over all epochs; "plateau" drops after '
        "validations without improvement",
    )
    warmup_steps: int = Field(default=0, ge=0, description="steps in which the rate rises linearly from zero")
    cooldown_steps: int = Field(
        default=0, ge=0,
        description='last steps of all epochs, in which the rate falls linearly to almost zero; not with "cosine"',
    )  # fmt: skip
    factor: float = Field(default=0.5, gt=0, lt=1, description='of each drop of "plateau"')
    patience: int = Field(default=5, ge=0, description='validations without improvement before "plateau" drops')

    @model_validator(mode="after")
    def _falls_once(self) -> "ScheduleSettings":
        if self.name == "cosine" and self.cooldown_steps:
            raise ValueError('"cosine" falls over all epochs; leave out cooldown_steps, or choose "constant"')
        return self


class ValidationSettings(Section):
    """`[train.validation]`"""

    sdr_every: int = Field(
        default=10, ge=0, description="epochs from one SDR of the whole validation songs to the next; 0: never"
    )
    monitor: Literal["loss", "sdr"] = Field(
        default="loss",
        description="score that selects the best model and ends the run; SDR is the mean over the sources",
    )

    @model_validator(mode="after")
    def _measures_what_it_monitors(self) -> "ValidationSettings":
        if self.monitor == "sdr" and not self.sdr_every:
            raise ValueError('monitor = "sdr" needs sdr_every = 1 or more')
        return self


class TrainSettings(Section):
    """`[train]`"""

    epochs: int = Field(default=1000, ge=1, description="at most; patience may end the run before")
    batch_size: int = Field(default=32, ge=1, le=65536, description="chunks in a step")
    steps_per_epoch: int = Field(
        default=500, ge=0, description="steps between two validations; 0: as many as cover the corpus once"
    )
    chunk_seconds: float = Field(default=4.0, ge=0.1, le=600, description="length of a training chunk")
    remix: float = Field(default=0.7, ge=0, le=1, description="share of chunks mixed from different songs")
    silent: float = Field(default=0.05, ge=0, le=1, description="share of chunks in which a source is left out")
    mixup: float = Field(
        default=0.0, ge=0, le=1, description="share of remixed stems that are the sum of two of their kind"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="auto: fp16 with a gradient scaler on CUDA, bf16 on a CPU with instructions for it, else fp32",
    )
    patience: int = Field(default=15, ge=1, description="epochs without improvement before the run stops")
    clip_norm: float = Field(default=5.0, ge=0, description="largest norm of the gradient; 0: not clipped")
    accumulate: int = Field(
        default=1, ge=1, description="parts in which a batch passes the network: the same step with less memory"
    )
    ema: float = Field(
        default=0.0, ge=0, lt=1,
        description="decay of a moving average of the weights, which is validated and saved in their place; 0: none",
    )  # fmt: skip
    source_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="weight of each source in the loss; 1 if none is given"
    )
    freeze: tuple[str, ...] = Field(
        default=(), description='patterns of weights that are not trained, such as "encoder.*"'
    )
    skip_limit: int = Field(
        default=20, ge=1, description="steps in a row whose loss or gradient is not finite before the run ends"
    )
    save_minutes: float = Field(
        default=10.0, gt=0, description="largest time between two saves of the state; it is also saved after each epoch"
    )
    workers: int = Field(default=2, ge=0, description="processes that load data; 0: the training process itself")
    optimizer: OptimizerSettings = Field(default=OptimizerSettings(), description="optimiser")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="learning rate over the run")
    validation: ValidationSettings = Field(default=ValidationSettings(), description="scores on the validation songs")

    @model_validator(mode="after")
    def _is_measured_in_time(self) -> "TrainSettings":
        every = self.validation.sdr_every
        if self.validation.monitor == "sdr" and every > min(self.epochs, self.patience):
            raise ValueError(
                f'validation.monitor = "sdr" is measured every {every} epochs, too rarely for epochs = {self.epochs} '
                f"and patience = {self.patience}; set validation.sdr_every to {min(self.epochs, self.patience)} or less"
            )
        return self


class SeparateSettings(Section):
    """`[separate]`"""

    chunk_seconds: float = Field(
        default=12.0, ge=0.1, le=600, description="length of the chunks that the network separates"
    )
    overlap: float = Field(default=0.25, ge=0, le=0.5, description="share of a chunk that overlaps with the next")
    residual: str = Field(
        default="accompaniment",
        description='name of the stem that holds everything the model does not extract; "": none is written',
    )

    @model_validator(mode="after")
    def _residual_is_a_file_name(self) -> "SeparateSettings":
        if self.residual:
            check_stem_name(self.residual)
        return self
