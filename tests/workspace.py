"""A scratch repository: its parameters, a small data set, and its stages run as a user would run them."""

import contextlib
import importlib
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.paths import FIGURES, METRICS, MODEL_INFO, MODELS, RESULTS, SPLIT, WEIGHTS
from stages.core.data import datasets
from stages.core.data.datasets import Array

ROOT = Path(__file__).parent.parent
PARAMS: dict[str, Any] = YAML(typ="safe").load((ROOT / "params.yaml").read_bytes())
CLASSES = tuple("0123456789")
COMPUTED = {"precision": "fp32", "layout": "channels_last", "compile": "none"}  # how a training was


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@dataclass
class Workspace:
    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    params: dict[str, Any] = field(default_factory=lambda: deepcopy(PARAMS))

    def __post_init__(self) -> None:
        self.set(accelerator="cpu", threads=1)

    def set(self, **changes: Any) -> None:
        """Write params.yaml with these changes; `__` stands for the dot: models__lenet_28__lr=0.1."""
        for path, value in changes.items():
            *sections, key = path.split("__")
            section = self.params
            for name in sections:
                section = section[name]
            section[key] = value
        with Path("params.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(self.params, file)

    def run(self, stage: str, *arguments: str) -> Outcome:
        """`python -m stages.STAGE ARGUMENTS` or `cifra VERB ARGUMENTS`, in this process."""
        module = importlib.import_module(
            f"{'stages' if (ROOT / 'stages' / f'{stage}.py').exists() else 'cifra'}.{stage}"
        )
        if hasattr(module, "LiveRun"):  # MLflow has tests of its own
            self.monkeypatch.setattr(module, "LiveRun", Unrecorded)
        self.monkeypatch.setattr(sys, "argv", [stage, *arguments])
        self.capsys.readouterr()
        code = 0
        try:
            command(module.main, module.__doc__ or "")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        return Outcome(code, *self.capsys.readouterr())

    def files(self) -> dict[str, bytes]:
        """All that lies here, params.yaml aside."""
        found = {str(path.relative_to(self.root)): path for path in self.root.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in sorted(found.items()) if name != "params.yaml"}


class Unrecorded(contextlib.nullcontext[Any]):
    """In the place of a run in MLflow."""

    def __enter__(self) -> "Unrecorded":
        return self

    def epoch(self, trainer: Any) -> None:
        pass


def shell(*command_line: str, **options: Any) -> Outcome:
    """Python with these arguments in a process of its own, with our modules in reach."""
    done = subprocess.run(
        [sys.executable, *command_line],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def easy_images(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Ten classes told apart by where their bright square lies: [count, 28, 28] and [count], classes in turn."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[row * 8 : row * 8 + 7, column * 7 : column * 7 + 7] += 150
    return images, labels


def publish_split(train: int = 100, validation: int = 20, test: int = 20) -> None:
    """data/split as the stage leaves it, of easy images."""
    arrays, counts = {"train_copies": np.zeros(train, np.uint8)}, {}
    for seed, (name, count) in enumerate({"train": train, "validation": validation, "test": test}.items()):
        images, labels = easy_images(count, seed)
        arrays |= {f"{name}_images": images[:, np.newaxis], f"{name}_labels": labels}
        counts[name] = np.bincount(labels, minlength=10).tolist()
    metadata = {"dataset": "digits", "classes": list(CLASSES), "shape": [1, 28, 28], "counts": counts, "mean": 0.2}
    metadata |= {"preparation": {"picture": "digit", "softness": 0.7}}
    metadata |= {"validation_from": "train", "std": 0.2, "raw_sha256": "0" * 64}
    datasets.publish(SPLIT, arrays, metadata)


def publish_network(network: str, onnx: bytes, fingerprint: str, classes: dict[str, float]) -> None:
    """One network as the stages leave it, right about `classes` as often as said."""
    training = {
        "network": network, "recipe": PARAMS["models"][network], "seed": 1, "threads": 1, "accelerator": "cpu",
        "torch": "2", "dataset": "digits", "dataset_sha256": datasets.metadata()["sha256"],
        "fingerprint": fingerprint, "epochs": 2, "best_epoch": 2, **COMPUTED,
    }  # fmt: skip
    files.write_json(WEIGHTS / network / "training.json", training)
    curve = {"train_loss": 0.5, "train_accuracy": 0.5, "validation_loss": 0.25, "validation_accuracy": 0.75}
    files.write_csv(WEIGHTS / network / "epochs.csv", [{"epoch": epoch} | curve for epoch in (1, 2)])
    files.write(MODELS / f"{network}.onnx", onnx)
    files.write_json(MODEL_INFO / f"{network}.json", {"parameters": 7, "macs": 9, "bytes": 5, "best_epoch": 2})
    accuracy = round(sum(classes.values()) / len(classes), 4)
    test = {"accuracy": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1, "loss": 0.4}
    certainty, validation = {"smooth_error": 0.03}, {"accuracy": 0.75, "loss": 0.25}
    metrics = {"test": test, "classes": classes, "certainty": certainty, "validation": validation}
    files.write_json(METRICS / f"{network}.json", metrics)
    files.write(RESULTS / network / "confusion.csv", b"actual,predicted,images\n")
    (FIGURES / network).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(FIGURES / network / "epochs.png")
