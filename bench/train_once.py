"""One training, in a process of its own, printed as JSON: an epoch of either loop, or a whole recipe of ours.

python -m bench.train_once notebook|cifra|whole|fp32|bf16 NETWORK SEED [ANOTHER_SPLIT]

`fp32` and `bf16` are the whole recipe in that type, whatever params.yaml says.

The test set is that of data/split; that of another split, if one is named, is asked too.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from stages.core.cli import params
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.networks import layers, networks
from stages.core.networks.networks import Network
from stages.core.training import accelerator
from stages.core.training.settings import Recipe
from stages.core.training.trainer import Trainer, evaluate

THEIRS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
SIDE = 2048  # of the matrices whose product gives the machine's rate


def main(loop: str, network: str, seed: int, other: str | None = None) -> None:
    chosen = params.load()
    recipe = chosen.recipe(network)
    one_epoch = recipe.model_copy(update={"epochs": 1})
    train, test = datasets.load("train", copies=chosen.augment_of(network) is None), datasets.load("test")
    where = accelerator.resolve(chosen.accelerator)
    match loop:
        case "notebook":
            found = notebook(network, one_epoch, train, seed, where)
        case "cifra":
            few = LabelledImages(train.images[:1000], train.labels[:1000])
            found = cifra(network, one_epoch, train, few, seed, where)
        case "fp32" | "bf16":
            typed = recipe.model_copy(update={"precision": loop})
            found = cifra(network, typed, train, datasets.load("validation"), seed, where)
        case _:
            found = cifra(network, recipe, train, datasets.load("validation"), seed, where)
    trained = found.pop("network")
    found |= {"accuracy": accuracy(trained, test, where), "operations": operations(network, recipe, len(train))}
    if other:
        held = datasets.arrays(Path(other))
        found["other"] = accuracy(trained, LabelledImages(held["test_images"], held["test_labels"]), where)
    print(json.dumps(found))


def accuracy(network: Network, test: LabelledImages, where: str) -> float:
    images, labels = (torch.from_numpy(array).to(where) for array in (test.images, test.labels))
    return evaluate(network, images, labels.long())[1]


class Pictures(Dataset[Any]):
    """As torchvision's MNIST does it: of two tensors in memory, a PIL image at a time, made a tensor again."""

    def __init__(self, labelled: LabelledImages) -> None:
        self.data, self.targets = torch.from_numpy(labelled.images[:, 0]), torch.from_numpy(labelled.labels).long()
        self.transform = ToTensor()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image, target = self.data[index], int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target


def notebook(network: str, recipe: Recipe, train: LabelledImages, seed: int, where: str) -> dict[str, Any]:
    """The courses' loop: a DataLoader, torch's own settings, one `.item()` a step."""
    torch.manual_seed(seed)
    built = networks.build(network, (1, 28, 28), 10, **recipe.layers).to(where)
    loader = DataLoader(Pictures(train), batch_size=recipe.batch_size, shuffle=recipe.shuffle)
    optimizer = THEIRS[recipe.optimizer](built.parameters(), lr=recipe.lr)
    criterion = nn.CrossEntropyLoss()
    built.train()
    clock, total = Clock(where), 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(built(images.to(where)), labels.to(where))
        loss.backward()
        optimizer.step()
        total += loss.item()
    return {"network": built, "seconds": clock.seconds(), "precision": "fp32", "matmul": 0.0}


def cifra(
    network: str, recipe: Recipe, train: LabelledImages, validation: LabelledImages, seed: int, where: str
) -> dict[str, Any]:
    """Our loop, and in it the weights of its best epoch."""
    chosen = params.load()
    accelerator.keep_freed_memory()
    accelerator.make_deterministic(seed, chosen.threads)
    compute = chosen.compute_of(network, where)
    precision = accelerator.resolve_precision(recipe.precision or compute.precision, where)
    accelerator.set_precision(precision)
    built = networks.build(network, (1, 28, 28), 10, **recipe.layers).to(where)
    compute = compute.model_copy(update={"precision": precision})
    trainer = Trainer(built, recipe, seed, where, compute, chosen.augment_of(network))
    rate = matmul_rate(precision, where)
    clock = Clock(where)
    trainer.fit(train, validation, lambda *_: None, lambda _: None)
    seconds = clock.seconds()
    built.load_state_dict(trainer.best_weights)
    return {"network": built, "seconds": seconds, "precision": precision, "matmul": rate}


class Clock:
    """By the accelerator's own events on CUDA, where the host runs ahead of what is done."""

    def __init__(self, where: str) -> None:
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if where == "cuda" else []
        for event in self.events[:1]:
            event.record()
        self.start = time.perf_counter()

    def seconds(self) -> float:
        if not self.events:
            return time.perf_counter() - self.start
        self.events[1].record()
        torch.cuda.synchronize()
        return float(self.events[0].elapsed_time(self.events[1])) / 1000


def matmul_rate(precision: str, where: str) -> float:
    """Operations per second of the best of some products of two square matrices of that type."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(2, SIDE, SIDE, device=where).to(dtype)
    seconds = []
    for _ in range(10):
        clock = Clock(where)
        left @ right
        seconds.append(clock.seconds())
    return 2 * SIDE**3 / min(seconds[2:])


def operations(network: str, recipe: Recipe, images: int) -> float:
    """Multiplications and additions of an epoch: forward, and twice that backward but for the first layer's input."""
    built = networks.build(network, (1, 28, 28), 10, **recipe.layers)
    forward = [row.macs for row in layers.describe(built, (1, 28, 28)) if row.macs]
    return float(np.sum(forward) * 3 - forward[0]) * 2 * images


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
