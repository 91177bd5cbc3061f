"""The sections of params.yaml about training."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.cli.settings import Count, Section, Units
from stages.core.data.settings import Augment, Dataset

Precision = Literal["auto", "fp32", "tf32", "bf16"]


class Compute(Section):
    """How an accelerator computes."""

    precision: Precision
    layout: Literal["channels_last", "contiguous"]
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"]


class Computes(Section):
    cpu: Compute
    cuda: Compute
    mps: Compute


class Recipe(Section):
    """The layers of one network, and how it is trained; what has a default here may be left out of params.yaml."""

    filters: Units | None = None
    widths: Units | None = None
    optimizer: Literal["sgd", "adam", "adamw"]
    lr: Annotated[float, Field(gt=0, le=10)]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    epochs: Count
    shuffle: bool
    loss: Literal["cross_entropy", "mse"]
    patience: Annotated[int, Field(ge=0)]
    schedule: Literal["constant", "linear_warmup_decay"] = "constant"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema_epochs: Annotated[float, Field(ge=0, le=1000)] = 0.0
    augment: dict[Dataset, Augment] | None = None
    precision: Precision | None = None

    @property
    def layers(self) -> dict[str, list[int]]:
        return self.model_dump(include={"filters", "widths"}, exclude_none=True)
