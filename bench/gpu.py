"""Our training on a GPU beside the notebooks' loop on the same card: seconds of an epoch on MNIST, by CUDA events.

    CIFRA_MIRROR=… python -m bench.gpu

Medians of five epochs (one of the notebooks' loop without workers), and the share of a step in which kernels run.
Then whole recipes of our own: seconds of the loop, and accuracy on the test set. bench/results/gpu.json keeps it.
"""

import argparse
import tempfile
import time
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from bench.train import NETWORKS, ROOT, prepare
from bench.train_once import THEIRS, Pictures, accuracy
from stages.core.cli import files, params
from stages.core.data import datasets
from stages.core.networks import networks
from stages.core.training import accelerator
from stages.core.training.settings import Recipe
from stages.core.training.trainer import Trainer

RESULT = ROOT / "bench" / "results" / "gpu.json"
EPOCHS = 5
WHOLE = ("fast_cnn", "best_cnn")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="of the whole recipes (%(default)s)")
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--whole", nargs="*", default=WHOLE)
    parser.add_argument("--dataset", default="mnist")
    asked = parser.parse_args()
    found: dict[str, Any] = {"card": torch.cuda.get_device_name(), "torch": torch.__version__, "epoch": {}, "whole": {}}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        prepare(Path(folder), asked.dataset)
        for network in asked.networks:
            found["epoch"][network] = epochs(network)
            print(network, found["epoch"][network], flush=True)
        for network in asked.whole:
            found["whole"][network] = [whole(network, seed) for seed in range(1, asked.seeds + 1)]
            print(network, found["whole"][network], flush=True)
    if asked.networks:
        found["geometric_mean"] = round(geometric_mean(one["ratio"] for one in found["epoch"].values()), 2)
        print(f"geometric mean over {len(found['epoch'])} networks: {found['geometric_mean']} × the notebooks' loop")
    files.write_json(RESULT, found)


def epochs(network: str) -> dict[str, Any]:
    recipe = params.load().recipe(network)
    seconds = {
        "notebook": [notebook(network, recipe, 0) for _ in range(1)],
        "notebook, 8 workers": [notebook(network, recipe, 8) for _ in range(3)],
        "eager": ours(network, 3, graph=False),
    }
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        ours(network, 2, graph=True)
    seconds["graph"] = ours(network, EPOCHS + 1, graph=True)[1:]
    types = {typed: median(ours(network, 4, True, typed)[1:]) for typed in ("fp32", "tf32", "bf16")}
    kernels = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / 2
    medians = {loop: round(median(values), 4) for loop, values in seconds.items()}
    return medians | {
        "precision": precision(network),
        "ratio": round(medians["notebook, 8 workers"] / medians["graph"], 2),
        "by precision": {typed: round(value, 4) for typed, value in types.items()},
        "kernels": round(kernels / medians["graph"], 2),
    }


def precision(network: str) -> str:
    return accelerator.resolve_precision(params.load().compute_of(network, "cuda").precision, "cuda")


def notebook(network: str, recipe: Recipe, workers: int) -> float:
    """The courses' loop: a DataLoader, torch's own settings, one `.item()` a step."""
    torch.set_deterministic_debug_mode("default")
    built = networks.build(network, (1, 28, 28), 10, **recipe.layers).cuda().train()
    loader = DataLoader(
        Pictures(datasets.load("train")),
        batch_size=recipe.batch_size,
        shuffle=recipe.shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    optimizer = THEIRS[recipe.optimizer](built.parameters(), lr=recipe.lr)
    criterion, total = nn.CrossEntropyLoss(), 0.0
    if workers:
        next(iter(loader))  # the workers are there
    with timed() as taken:
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(built(images.cuda()), labels.cuda())
            loss.backward()
            optimizer.step()
            total += loss.item()
    return taken.seconds()


class timed:
    """By CUDA events."""

    def __enter__(self) -> "timed":
        torch.cuda.synchronize()
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        self.events[0].record()
        return self

    def __exit__(self, *_: object) -> None:
        self.events[1].record()
        torch.cuda.synchronize()

    def seconds(self) -> float:
        return float(self.events[0].elapsed_time(self.events[1])) / 1000


def trainer(network: str, seed: int, graph: bool, typed: str | None = None, **changes: Any) -> Trainer:
    chosen = params.load()
    recipe = chosen.recipe(network).model_copy(update=changes)
    accelerator.make_deterministic(seed, chosen.threads)
    typed = typed or precision(network)
    accelerator.set_precision(typed)
    compute = chosen.compute_of(network, "cuda").model_copy(update={"precision": typed, "graph": graph})
    built = networks.build(network, (1, 28, 28), 10, **recipe.layers).cuda()
    return Trainer(built, recipe, seed, "cuda", compute, recipe.augment)


def ours(network: str, count: int, graph: bool, typed: str | None = None) -> list[float]:
    """Seconds of each epoch, without its evaluation on more than 100 images."""
    running = trainer(network, 1, graph, typed, epochs=count)
    train, held = datasets.load("train", copies=running.changes is None), datasets.load("validation")
    few = datasets.LabelledImages(held.images[:100], held.labels[:100])
    ends = [time.perf_counter()]

    def end(_: Trainer) -> None:
        torch.cuda.synchronize()
        ends.append(time.perf_counter())

    running.fit(train, few, lambda *_: None, end)
    return [after - before for before, after in pairwise(ends)]


def whole(network: str, seed: int) -> dict[str, float]:
    running = trainer(network, seed, graph=True)
    train, held = datasets.load("train", copies=running.changes is None), datasets.load("validation")
    with timed() as taken:
        running.fit(train, held, lambda *_: None, lambda _: None)
    running.network.load_state_dict(running.best_weights)
    right = accuracy(running.network, datasets.load("test"), "cuda")
    return {"seconds": round(taken.seconds(), 3), "accuracy": round(right, 4)}


if __name__ == "__main__":
    main()
