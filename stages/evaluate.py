"""Evaluate one network's ONNX file, class by class, with the code that serves it. This is where the test set is used.

python -m stages.evaluate lenet_28
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.inference.model import Answer, Model, ModelError
from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import METRICS, MODELS, RESULTS
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.evaluation import certainty, disputed, scores

BATCH = 256


def main(network: str) -> None:
    model = load(MODELS / f"{network}.onnx")
    size = model.input_shape[-1]
    test, validation = datasets.load("test", size), datasets.load("validation", size)
    answer, before = predict(model, test.images), predict(model, validation.images)
    table = scores.confusion(test.labels, answer.logits.argmax(1), len(model.classes))
    with files.fresh_folder(RESULTS / network) as fresh:
        files.write_csv(fresh / "predictions.csv", predictions(test, answer, model.classes))
        files.write_csv(fresh / "confusion.csv", confusion_rows(table, model.classes))
        files.write_csv(fresh / "classes.csv", class_rows(table, model.classes))
        confidence, right = certainty.top(answer.probabilities, answer.logits, test.labels)
        files.write_csv(fresh / "reliability.csv", certainty.binned(confidence, right))
        files.write_csv(fresh / "coverage.csv", certainty.coverage(confidence, right))
    metrics = measure(table, answer, test, model.classes) | {"validation": validate(before, validation)}
    metrics |= {"certainty": sure(answer, test, before, validation)}
    if known := disputed.among(~right, datasets.metadata()):
        metrics |= {"disputed": known}
    if "robustness" in datasets.names():
        copies = datasets.load("robustness", size)
        metrics |= {"robustness": validate(predict(model, copies.images), copies)}
    files.write_json(METRICS / f"{network}.json", metrics)
    print(f"{network}: {metrics['test']['accuracy']:.2%} of {len(test):,} test images")


def load(path: Path) -> Model:
    try:
        return Model.load(path)
    except ModelError as error:
        raise UserError(f"{error}: run `dvc repro export@{path.stem}`, which makes it") from None


def predict(model: Model, images: NDArray[np.uint8]) -> Answer:
    answers = [model.predict(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return Answer(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))


def measure(
    table: NDArray[np.int64], answer: Answer, test: LabelledImages, classes: list[str]
) -> dict[str, dict[str, Any]]:
    overall = scores.share(int(table.trace()), len(test))
    return {
        "test": {**overall, **scores.balanced(table), "loss": scores.cross_entropy(answer.logits, test.labels)},
        "classes": {row["class"]: row["accuracy"] for row in class_rows(table, classes) if row["images"]},
    }


def sure(answer: Answer, test: LabelledImages, before: Answer, validation: LabelledImages) -> dict[str, Any]:
    """The validation images say which classes a set holds, the test images what it is worth."""
    least = certainty.threshold(before.probabilities, validation.labels)
    return certainty.measure(answer.logits, answer.probabilities, test.labels, least)


def validate(answer: Answer, validation: LabelledImages) -> dict[str, float]:
    """What chooses the champion, taken from the same file as everything else."""
    right = int((answer.logits.argmax(1) == validation.labels).sum())
    loss = scores.cross_entropy(answer.logits, validation.labels)
    return {"accuracy": scores.share(right, len(validation))["accuracy"], "loss": loss}


def class_rows(table: NDArray[np.int64], classes: list[str]) -> list[dict[str, Any]]:
    return [
        {"class": name, "images": int(row.sum()), **scores.share(int(row[index]), int(row.sum()))}
        for index, (name, row) in enumerate(zip(classes, table, strict=True))
    ]


def confusion_rows(table: NDArray[np.int64], classes: list[str]) -> list[dict[str, Any]]:
    return [
        {"actual": actual, "predicted": predicted, "images": int(table[row, column])}
        for row, actual in enumerate(classes)
        for column, predicted in enumerate(classes)
    ]


def predictions(test: LabelledImages, answer: Answer, classes: list[str]) -> Iterator[dict[str, Any]]:
    """The class is that of the largest logit, as in the scores: of large logits two may have the same probability."""
    best_of = answer.logits.argmax(1)
    for index, (label, best, row) in enumerate(zip(test.labels, best_of, answer.probabilities, strict=True)):
        yield {
            "image": index,
            "actual": classes[label],
            "predicted": classes[best],
            "confidence": float(row[best]),
            "probability_of_actual": float(row[label]),
        }


if __name__ == "__main__":
    command(main, __doc__)
