"""The settings of training and of separation: `[train]` with its tables, and `[separate]`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sepkit.component import Section, check_stem_name


class OptimizerSettings(Section):
    """`[train.optimizer]`"""

    name: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="what turns gradients into steps")
    lr: float = Field(default=1e-3, gt=0, description="learning rate")
    weight_decay: float = Field(default=1e-5, ge=0, description="pull of each weight towards zero")
    momentum: float = Field(default=0.9, ge=0, lt=1, description='of "sgd" only')


class ScheduleSettings(Section):
    """`[train.schedule]`"""

    name: Literal["constant", "cosine", "plateau"] = Field(
        default="constant",
        description='"cosine" falls from the learning rate to almost zero over all epochs; "plateau" drops where '
        "validation gets no better",
    )
    warmup_steps: int = Field(default=0, ge=0, description="steps in which the rate rises linearly from zero")
    cooldown_steps: int = Field(
        default=0, ge=0,
        description='last steps of all epochs, in which the rate falls linearly to almost zero; not with "cosine"',
    )  # fmt: skip
    factor: float = Field(default=0.5, gt=0, lt=1, description='of each drop of "plateau"')
    patience: int = Field(default=5, ge=0, description='validations without a better one before "plateau" drops')

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
        default="loss", description="what tells the best model and ends the run; SDR is the mean over the sources"
    )

    @model_validator(mode="after")
    def _measures_what_it_monitors(self) -> "ValidationSettings":
        if self.monitor == "sdr" and not self.sdr_every:
            raise ValueError('monitor = "sdr" needs sdr_every = 1 or more')
        return self


class TrainSettings(Section):
    """`[train]`"""

    epochs: int = Field(default=1000, ge=1, description="at most; patience may end the run before")
    batch_size: int = Field(default=32, ge=1, le=65536, description="examples in a step")
    steps_per_epoch: int = Field(
        default=500, ge=0, description="steps between two validations; 0: as many as cover the corpus once"
    )
    chunk_seconds: float = Field(default=4.0, ge=0.1, le=600, description="length of a training example")
    remix: float = Field(default=0.7, ge=0, le=1, description="share of examples mixed from different songs")
    silent: float = Field(default=0.05, ge=0, le=1, description="share of examples in which a source is left out")
    mixup: float = Field(default=0.0, ge=0, le=1, description="share of remixed stems that are two of their kind")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="auto: fp16 with a gradient scaler on CUDA, bf16 on a CPU with instructions for it, else fp32",
    )
    patience: int = Field(default=15, ge=1, description="epochs without a better validation before the run stops")
    clip_norm: float = Field(default=5.0, ge=0, description="largest norm of the gradient; 0: not clipped")
    accumulate: int = Field(
        default=1, ge=1, description="parts in which a batch passes the network: the same step with less memory"
    )
    ema: float = Field(
        default=0.0, ge=0, lt=1,
        description="decay of the moving average of the weights, which is then what is validated and saved; 0: none",
    )  # fmt: skip
    source_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="how much each source counts in the loss; 1 where none is given"
    )
    freeze: tuple[str, ...] = Field(
        default=(), description='patterns of weights that stay as they are, such as "encoder.*"'
    )
    skip_limit: int = Field(
        default=20, ge=1, description="steps in a row whose loss or gradient is not finite before the run ends"
    )
    save_minutes: float = Field(
        default=10.0, gt=0, description="the state is saved after each epoch, and within one after this time"
    )
    workers: int = Field(default=2, ge=0, description="processes that load data; 0: the training process itself")
    optimizer: OptimizerSettings = Field(default=OptimizerSettings(), description="how weights are changed")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="how the learning rate changes")
    validation: ValidationSettings = Field(default=ValidationSettings(), description="what tells how good it is")

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

    chunk_seconds: float = Field(default=12.0, ge=0.1, le=600, description="length of the pieces that the network gets")
    overlap: float = Field(default=0.25, ge=0, le=0.5, description="share of a chunk that overlaps with the next")
    residual: str = Field(default="accompaniment", description='name of mixture - targets; "": none is written')

    @model_validator(mode="after")
    def _residual_is_a_file_name(self) -> "SeparateSettings":
        if self.residual:
            check_stem_name(self.residual)
        return self
