"""What the stages before have found out about one network, read from their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stages.core.cli import files
from stages.core.cli.paths import METRICS, MODEL_INFO, RESULTS, WEIGHTS
from stages.core.figures.words import Translator

EPOCHS = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class Outcome:
    network: str
    classes: list[str]
    test_chose: bool
    """Whether validation images came from the test set, so that its scores are too good."""
    training: dict[str, Any]
    model_info: dict[str, Any]
    test: dict[str, float]
    steps: NDArray[np.float64]
    """The loss of each update."""
    epochs: dict[str, list[float]]
    """Columns of epochs.csv."""
    by_class: dict[str, list[float]]
    """Columns accuracy, low and high of classes.csv."""
    confusion: NDArray[np.int64]
    """[classes, classes] test images: rows are the true classes, columns the answers."""
    predictions: list[dict[str, str]]
    certainty: dict[str, float]
    disputed: dict[str, int] | None
    """How many images have a label that people dispute, and how many of those are mistakes."""
    reliability: dict[str, list[float]]
    """Columns of reliability.csv."""
    coverage: dict[str, list[float]]
    """Columns of coverage.csv."""

    @classmethod
    def read(cls, network: str, metadata: Mapping[str, Any]) -> Self:
        weights, results, classes = WEIGHTS / network, RESULTS / network, metadata["classes"]
        steps, epochs = (files.read_csv(weights / f"{name}.csv") for name in ("steps", "epochs"))
        confusion, by_class, predictions = (
            files.read_csv(results / f"{name}.csv") for name in ("confusion", "classes", "predictions")
        )
        metrics = files.read_json(METRICS / f"{network}.json")
        return cls(
            network,
            classes,
            test_chose=metadata["validation_from"] == "test",
            training=files.read_json(weights / "training.json"),
            model_info=files.read_json(MODEL_INFO / f"{network}.json"),
            test=metrics["test"],
            steps=np.array([float(row["loss"]) for row in steps]),
            epochs=columns(epochs, EPOCHS),
            by_class=columns(by_class, ("accuracy", "low", "high")),
            confusion=np.array([int(row["images"]) for row in confusion]).reshape(len(classes), -1),
            predictions=predictions,
            certainty=metrics["certainty"],
            disputed=metrics.get("disputed"),
            reliability=columns(files.read_csv(results / "reliability.csv"), ("images", "confidence", "accuracy")),
            coverage=columns(files.read_csv(results / "coverage.csv"), ("answered", "accuracy")),
        )

    def caution(self, t: Translator) -> str:
        return t("test_chose") if self.test_chose else ""


def columns(rows: list[dict[str, str]], names: Sequence[str]) -> dict[str, list[float]]:
    return {name: [float(row[name]) for row in rows] for name in names}
