"""The sections of params.yaml about training."""

from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Discriminator, Field, Tag

from stages.core.cli.settings import Count, Section, Units
from stages.core.data.settings import Augment, Dataset

Precision = Literal["auto", "fp32", "tf32", "bf16"]


class Compute(Section):
    """How an accelerator computes."""

    precision: Precision
    layout: Literal["channels_last", "contiguous"]
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"]


class CudaCompute(Compute):
    graph: bool = True  # a step of the training is captured once and replayed


class Computes(Section):
    cpu: Compute
    cuda: CudaCompute
    mps: Compute


Rate = Annotated[float, Field(gt=0, le=10)]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]


class Recipe(Section):
    """The layers of one network, and how it is trained; what has a default here may be left out of params.yaml."""

    architecture: str | None = None
    filters: Units | None = None
    widths: Units | None = None
    optimizer: Literal["sgd", "adam", "adamw"]
    lr: Rate
    batch_size: BatchSize
    epochs: Count
    shuffle: bool
    loss: Literal["cross_entropy", "mse"]
    patience: Annotated[int, Field(ge=0)]
    schedule: Literal["constant", "linear_warmup_decay"] = "constant"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema_epochs: Annotated[float, Field(ge=0, le=1000)] = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    augment: Augment | None = None
    precision: Precision | None = None

    @property
    def layers(self) -> dict[str, list[int]]:
        return self.model_dump(include={"filters", "widths"}, exclude_none=True)


T = TypeVar("T")
Each = Dataset | Literal["default"]
EACH = (*get_args(Dataset), "default")


def _form(value: Any) -> str:
    """Whether a setting is given by data set, or for all at once; an augmentation is itself a mapping."""
    by_set = isinstance(value, dict) and any(key in EACH or isinstance(held, dict) for key, held in value.items())
    return "by_set" if by_set else "for_all"


ByDataset = Annotated[Annotated[T, Tag("for_all")] | Annotated[dict[Each, T], Tag("by_set")], Discriminator(_form)]


class Entry(Recipe):
    """A recipe as params.yaml has it, where these may be a mapping of data sets and `default`."""

    lr: ByDataset[Rate]  # type: ignore[assignment]
    batch_size: ByDataset[BatchSize]  # type: ignore[assignment]
    epochs: ByDataset[Count]  # type: ignore[assignment]
    augment: ByDataset[Augment | None] = None  # type: ignore[assignment]

    def on(self, dataset: str) -> Recipe:
        """The recipe for that data set.

        Raises:
            KeyError: a setting has a value neither for the data set nor by default.
        """
        values = self.model_dump(exclude_unset=True)
        for name in ("lr", "batch_size", "epochs", "augment"):
            value: Any = values.get(name)
            if _form(value) == "by_set":
                if name != "augment" and not {dataset, "default"} & set(value):
                    raise KeyError(name)
                values[name] = value.get(dataset, value.get("default"))
        return Recipe(**values)
