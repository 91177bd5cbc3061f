"""What the stages before have found out about one network, read from their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stages.core.cli import files
from stages.core.cli.paths import METRICS, MODEL_INFO, RESULTS, WEIGHTS


@dataclass(frozen=True)
class Outcome:
    network: str
    classes: list[str]
    test_chose: bool
    """Whether validation images came from the test set, so that its scores are too good."""
    recipe: dict[str, Any]
    best_epoch: int
    model_info: dict[str, Any]
    test: dict[str, float]
    steps: list[float]
    """The loss of each update."""
    epochs: dict[str, list[float]]
    """Columns of epochs.csv."""
    by_class: dict[str, list[float]]
    """Columns accuracy, low and high of classes.csv."""
    confusion: NDArray[np.int64]
    """[classes, classes] test images: rows are the true classes, columns the answers."""
    predictions: list[dict[str, str]]

    @classmethod
    def read(cls, network: str, metadata: dict[str, Any]) -> Self:
        training = files.read_json(WEIGHTS / network / "training.json")
        count = len(metadata["classes"])
        cells = files.read_csv(RESULTS / network / "confusion.csv")
        return cls(
            network=network,
            classes=metadata["classes"],
            test_chose=metadata["validation_from"] == "test",
            recipe=training["recipe"],
            best_epoch=training["best_epoch"],
            model_info=files.read_json(MODEL_INFO / f"{network}.json"),
            test=files.read_json(METRICS / f"{network}.json")["test"],
            steps=_columns(WEIGHTS / network / "steps.csv", "loss")["loss"],
            epochs=_columns(
                WEIGHTS / network / "epochs.csv",
                *("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
            ),
            by_class=_columns(RESULTS / network / "classes.csv", "accuracy", "low", "high"),
            confusion=np.array([int(cell["images"]) for cell in cells]).reshape(count, count),
            predictions=files.read_csv(RESULTS / network / "predictions.csv"),
        )


def _columns(path: Path, *names: str) -> dict[str, list[float]]:
    return dict(zip(names, files.columns(files.read_csv(path), *names), strict=True))
