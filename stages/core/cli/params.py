"""params.yaml, read whole and checked whole, before a stage does any work."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.cli.errors import UserError
from stages.core.cli.settings import Section, unknown
from stages.core.data.settings import Augment, Dataset, Digits, Folder, Split, Subset
from stages.core.training.settings import Compute, Computes, CudaCompute, Entry, Recipe

PARAMS = Path("params.yaml")


class Render(Section):
    test_images: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=12)]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]  # of files and of a model in a URL


class Params(Section):
    dataset: Dataset
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[int, Field(ge=1, le=256)]
    language: Literal["en", "es"]
    compute: Computes
    digits: Digits
    folder: Folder
    split: Split
    render: Render
    models: Annotated[dict[Name, Entry], Field(min_length=1)]

    def recipe(self, network: str) -> Recipe:
        if network not in self.models:
            raise UserError(unknown("network", network, list(self.models), "an entry of models: in params.yaml"))
        try:
            return self.models[network].on(self.dataset)
        except KeyError as error:
            key = f"models.{network}.{error.args[0]}"
            raise UserError(f"params.yaml: {key} has no value for {self.dataset}: add it, or one for default") from None

    def augment_of(self, network: str) -> Augment | None:
        """How the network's recipe changes the images of the chosen data set; None if it leaves them."""
        return self.recipe(network).augment

    def compute_of(self, network: str, accelerator: str) -> Compute:
        """With the precision that the network's recipe insists on, if it does."""
        compute: Compute = getattr(self.compute, accelerator)
        return compute.model_copy(update={"precision": self.recipe(network).precision or compute.precision})


RENAMED = {
    "speed": "compute",
    "copies": "augmented_copies",
    "average": "ema_epochs",
    "turn": "rotation",
    "slant": "shear",
    "zoom": "scale",
    "erase": "random_erasing",
    "mirror": "horizontal_flip",
}
INTERNAL = re.compile(r"\[key\]$|for_all$|by_set$|literal\[")  # pydantic's, in the path to a value
RENAMED_VALUES = {"schedule": {"one_cycle": "linear_warmup_decay"}}


def load() -> Params:
    try:
        return Params.model_validate(_renamed(_values()))
    except ValidationError as error:
        errors = error.errors()  # a misspelt setting is also a missing one: better to say how it is spelt
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        raise UserError(f"params.yaml: {_explain(first)}") from None


def _renamed(values: Any, path: str = "", networks: bool = False) -> Any:
    """The same settings under the names of today, with a line for each that has another; names of networks stay."""
    if not isinstance(values, dict):
        return values
    today = {}
    for key, value in values.items():
        new = key if networks else RENAMED.get(key, key)
        if new != key and new not in values:
            print(f"params.yaml: {path}{key} is now called {new}: rename it", file=sys.stderr)
        else:
            new = key
        renamed = RENAMED_VALUES.get(str(new), {}).get(value) if isinstance(value, str) else None
        if renamed:
            print(f"params.yaml: {path}{key}: {value} is now called {renamed}: rename it", file=sys.stderr)
        today[new] = renamed or _renamed(value, f"{path}{key}.", networks=path == "" and key == "models")
    return today


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


def _explain(error: Any) -> str:
    """pydantic's first complaint as one line: which value, what is allowed, where to change it."""
    path = tuple(str(part) for part in error["loc"] if not INTERNAL.match(str(part)))
    key = ".".join(path) or "the whole file"
    match error["type"]:
        case "extra_forbidden":
            return unknown("setting", key, _settings(path[:-1]), "one of")
        case "missing":
            return f"{key} is missing: add it"
        case "model_type":
            return f"{key} is {error['input']!r}: it should be settings, each a name and a value"
        case _:
            return f"{key} is {error['input']!r}: {error['msg'].replace('Input should', 'it should')}"


SECTIONS: dict[str, type[Section]] = {
    "digits": Digits,
    "folder": Folder,
    "split": Split,
    "subset": Subset,
    "render": Render,
    "compute": Computes,
    **dict.fromkeys(Computes.model_fields, Compute),
    "cuda": CudaCompute,
}


def _settings(path: tuple[str, ...]) -> list[str]:
    """The settings that the section at that path has."""
    if not path:
        return list(Params.model_fields)
    section = Augment if "augment" in path else SECTIONS.get(path[-1], Recipe)
    fields = section.model_fields
    return [".".join([*path, name]) for name in fields]
