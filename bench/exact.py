"""What is exact where: train and export every network in several situations, and compare bytes and answers.

    python -m bench.exact

In scratch clones with few images and two epochs; otherwise each network by its own recipe.
Writes bench/results/exact.json, of which `make docs` makes a table.
"""

import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load

from bench.clone import ROOT, Clone
from serve.inference.model import Model
from stages.core.cli import files, params
from stages.core.data import datasets

RESULTS = ROOT / "bench" / "results" / "exact.json"
EPOCHS = 2
STORY = """
import sys
from stages import download, export, split, train
download.main()
split.main()
for network in sys.argv[1:]:
    train.main(network)
    export.main(network)
"""


@dataclass(frozen=True)
class Made:
    """Of one network; `answers` [N] are the classes that it takes the test images for."""

    weights: bytes
    model: bytes
    answers: NDArray[np.int64]


def main() -> None:
    networks = list(params.load().models)
    with tempfile.TemporaryDirectory(prefix="cifra-exact-") as folder:
        situations = dict(compared(Path(folder), networks))
    found = {
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "networks": len(networks),
        "epochs": EPOCHS,
        "situations": situations,
    }
    files.write_json(RESULTS, found)
    for name, differences in situations.items():
        print(f"{name}: {differences or 'not measured'}")


def compared(folder: Path, networks: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each situation beside a first run on the CPU with one thread; None where this machine cannot be in it."""
    clone = Clone(folder / "first", networks, {"epochs": EPOCHS, "batch_size": 64})
    first = make(clone, networks)
    yield "again", differences(first, make(clone, networks))
    yield "clone", differences(first, make_elsewhere(folder / "second", networks))
    yield "path", differences(first, make_elsewhere(folder / "otro año" / "más hondo", networks))
    yield "threads", differences(first, make_elsewhere(folder / "threads", networks, threads=2))
    if torch.cuda.is_available():
        yield "cuda", differences(first, make_elsewhere(folder / "cuda", networks, accelerator="cuda"))
    else:
        yield "cuda", None


def make_elsewhere(path: Path, networks: list[str], **changes: Any) -> dict[str, Made]:
    clone = Clone(path, networks, {"epochs": EPOCHS, "batch_size": 64})
    clone.edit("params.yaml", lambda settings: settings.update(changes))
    return make(clone, networks)


def make(clone: Clone, networks: list[str]) -> dict[str, Made]:
    """Run the story in a process of its own, and read what it leaves."""
    clone.run("python", "-c", STORY, *networks)
    images = datasets.arrays(clone.path / "data" / "split")["test_images"]
    return {name: read(clone.path, name, images) for name in networks}


def read(folder: Path, network: str, images: NDArray[np.uint8]) -> Made:
    path = folder / "models" / f"{network}.onnx"
    model = Model.load(path)
    answers = model.predict(datasets.resize(images, model.input_shape[-1])).logits.argmax(axis=1)
    weights = folder / "weights" / network / "weights.safetensors"
    return Made(weights.read_bytes(), path.read_bytes(), answers)


def differences(first: dict[str, Made], second: dict[str, Made]) -> dict[str, Any]:
    """How many networks have the same bytes, the largest difference of a weight, and of how many answers."""
    pairs = [(first[name], second[name]) for name in first]
    return {
        "same_weights": sum(one.weights == other.weights for one, other in pairs),
        "same_models": sum(one.model == other.model for one, other in pairs),
        "largest": max(largest_difference(one.weights, other.weights) for one, other in pairs),
        "other_answers": sum(int((one.answers != other.answers).sum()) for one, other in pairs),
        "answers": sum(len(one.answers) for one, _ in pairs),
    }


def largest_difference(one: bytes, other: bytes) -> float:
    ones, others = load(one), load(other)
    return max(float(np.abs(ones[name] - others[name]).max()) for name in ones)


if __name__ == "__main__":
    main()
