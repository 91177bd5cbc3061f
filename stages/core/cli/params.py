"""params.yaml, read whole and checked whole, before a stage does any work."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.cli.errors import UserError

PARAMS = Path("params.yaml")

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Units = Annotated[list[Count], Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Augment(Section):
    """How far a training image may be changed, to either side; 0 leaves it. All 0 is the image as it is."""

    turn: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees
    slant: Annotated[float, Field(ge=0, le=1)] = 0.0  # pixels to the side for each pixel up
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the width, and by another chance of the height
    shift: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels
    elastic: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels that each node of the sheet is pulled
    stroke: Annotated[float, Field(ge=0, le=1)] = 0.0  # pixels on each side of a stroke
    erase: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels a side of a square
    mirror: bool = False  # left for right, every other image


Dataset = Literal["digits", "mnist", "fashion_mnist", "kmnist", "qmnist", "emnist_digits"]
Precision = Literal["auto", "fp32", "tf32", "bf16"]


class Digits(Section):
    test_share: Share
    copies: Annotated[int, Field(ge=0, le=100)]
    augment: Augment


class Subset(Section):
    train: Count | None
    validation: Count | None
    test: Count | None


class Split(Section):
    validation_from: Literal["train", "test"]
    validation_share: Share
    image_size: Annotated[int, Field(ge=8, le=512)]
    subset: Subset


class Render(Section):
    test_images: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=12)]


class Speed(Section):
    """How an accelerator computes."""

    precision: Precision
    layout: Literal["channels_last", "contiguous"]
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"]


class Speeds(Section):
    cpu: Speed
    cuda: Speed
    mps: Speed


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
    schedule: Literal["constant", "one_cycle"] = "constant"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    average: Annotated[float, Field(ge=0, le=1000)] = 0.0
    augment: dict[Dataset, Augment] | None = None
    precision: Precision | None = None

    @property
    def layers(self) -> dict[str, list[int]]:
        return self.model_dump(include={"filters", "widths"}, exclude_none=True)


class Params(Section):
    dataset: Dataset
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[int, Field(ge=1, le=256)]
    language: Literal["en", "es"]
    speed: Speeds
    digits: Digits
    split: Split
    render: Render
    models: Annotated[dict[str, Recipe], Field(min_length=1)]

    def recipe(self, network: str) -> Recipe:
        if network not in self.models:
            raise UserError(unknown("network", network, list(self.models), "an entry of models: in params.yaml"))
        return self.models[network]

    def augment_of(self, network: str) -> Augment | None:
        """How the network's recipe changes the images of the chosen data set; None if it leaves them."""
        return (self.recipe(network).augment or {}).get(self.dataset)

    def speed_of(self, network: str, accelerator: str) -> Speed:
        """With the precision that the network's recipe insists on, if it does."""
        speed: Speed = getattr(self.speed, accelerator)
        return speed.model_copy(update={"precision": self.recipe(network).precision or speed.precision})


def load() -> Params:
    try:
        return Params.model_validate(_values())
    except ValidationError as error:
        errors = error.errors()  # a misspelt setting is also a missing one: better to say how it is spelt
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        raise UserError(f"params.yaml: {_explain(first)}") from None


def _values() -> Any:
    """By YAML 1.2, as DVC reads and writes it: there 1e-05 is a number, and no key may stand twice."""
    try:
        return YAML(typ="safe").load(PARAMS.read_bytes())
    except FileNotFoundError:
        raise UserError("params.yaml is not here: run from the root of the repository") from None
    except OSError as error:
        raise UserError(f"params.yaml cannot be read: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"params.yaml is not YAML: {' '.join(str(error).split())}") from None


def unknown(kind: str, name: str, known: Sequence[str], where: str) -> str:
    lasts = {one.rpartition(".")[2]: one for one in known}  # all share what is before the last dot
    close = get_close_matches(name.rpartition(".")[2], lasts, 1)
    hint = f"did you mean '{lasts[close[0]]}'? " if close else ""
    return f"unknown {kind} '{name}': {hint}allowed is {where}: {', '.join(known)}"


def _explain(error: Any) -> str:
    """pydantic's first complaint as one line: which value, what is allowed, where to change it."""
    key = ".".join(str(part) for part in error["loc"] if part != "[key]") or "the whole file"
    match error["type"]:
        case "extra_forbidden":
            return unknown("setting", key, _settings(error["loc"][:-1]), "one of")
        case "missing":
            return f"{key} is missing: add it"
        case "model_type":
            return f"{key} is {error['input']!r}: it should be settings, each a name and a value"
        case _:
            return f"{key} is {error['input']!r}: {error['msg'].replace('Input should', 'it should')}"


SECTIONS: dict[str, type[Section]] = {
    "digits": Digits,
    "split": Split,
    "subset": Subset,
    "render": Render,
    "speed": Speeds,
    **dict.fromkeys(Speeds.model_fields, Speed),
}


def _settings(path: tuple[str | int, ...]) -> list[str]:
    """The settings that the section at that path has."""
    if not path:
        return list(Params.model_fields)
    section = Augment if "augment" in path else SECTIONS.get(str(path[-1]), Recipe)
    fields = section.model_fields
    return [".".join([*map(str, path), name]) for name in fields]
