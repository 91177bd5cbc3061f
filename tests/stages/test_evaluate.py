import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serve.inference.model import Answer, Model
from stages import evaluate
from stages.core.cli import files
from stages.core.cli.paths import METRICS, MODELS, RESULTS
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.evaluation import scores
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from tests.workspace import CLASSES, PARAMS, Workspace, publish_split

NETWORK = "mlp_64_128"
NO_NOVELTY = np.empty((1, 0), np.float32)


@pytest.fixture(scope="module")
def model() -> bytes:
    """Untrained: it is wrong about most images, as the tables should then say."""
    torch.manual_seed(3)
    network = networks.build(NETWORK, (1, 28, 28), 10, widths=PARAMS["models"][NETWORK]["widths"]).eval()
    proto = onnx_file.to_onnx(network)
    onnx_file.describe(proto, {"network": NETWORK, "classes": list(CLASSES)})
    data: bytes = proto.SerializeToString()
    return data


@pytest.fixture
def evaluated(workspace: Workspace, model: bytes) -> Workspace:
    publish_split(validation=30, test=40)
    MODELS.mkdir()
    (MODELS / f"{NETWORK}.onnx").write_bytes(model)
    outcome = workspace.run("evaluate", NETWORK)
    assert (outcome.code, outcome.err) == (0, "")
    return workspace


def table(name: str) -> list[dict[str, str]]:
    return files.read_csv(RESULTS / NETWORK / name)


def metrics() -> Any:
    return json.loads((METRICS / f"{NETWORK}.json").read_text())


def answers(name: str) -> tuple[LabelledImages, Answer]:
    held = datasets.load(name)
    return held, Model.load(MODELS / f"{NETWORK}.onnx").predict(held.images)


def test_metrics_have_their_keys(evaluated: Workspace) -> None:
    found = metrics()
    assert {key: list(value) for key, value in found.items()} == {
        "test": ["accuracy", "low", "high", "balanced_accuracy", "macro_f1", "loss"],
        "classes": list(CLASSES),
        "validation": ["accuracy", "loss"],
        "certainty": [
            "binned_error",
            "smooth_error",
            "accuracy_of_surest_90",
            "set_size",
            "set_holds",
        ],
    }


def test_metrics_are_those_of_the_test_set(evaluated: Workspace) -> None:
    held, answer = answers("test")
    right = int((answer.logits.argmax(1) == held.labels).sum())
    low, high = scores.wilson(right, 40)
    wanted = {"accuracy": right / 40, "low": low, "high": high}
    wanted |= scores.balanced(scores.confusion(held.labels, answer.logits.argmax(1), 10))
    found = metrics()["test"]
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(answer.logits), torch.from_numpy(held.labels).long())
    assert found == pytest.approx(wanted | {"loss": float(loss)}, abs=1e-6)


def test_metrics_of_validation_are_those_of_the_validation_set(evaluated: Workspace) -> None:
    held, answer = answers("validation")
    found = metrics()["validation"]
    assert found["accuracy"] == pytest.approx(float((answer.logits.argmax(1) == held.labels).mean()), abs=1e-6)
    assert found["loss"] == scores.cross_entropy(answer.logits, held.labels)


def test_the_tables_agree(evaluated: Workspace) -> None:
    predictions, confusion, classes = table("predictions.csv"), table("confusion.csv"), table("classes.csv")
    for row in confusion:
        pair = (row["actual"], row["predicted"])
        assert int(row["images"]) == sum((one["actual"], one["predicted"]) == pair for one in predictions)
    for row in classes:
        of_class = [one for one in predictions if one["actual"] == row["class"]]
        right = sum(one["predicted"] == row["class"] for one in of_class)
        assert int(row["images"]) == len(of_class) == 4
        assert float(row["accuracy"]) == right / 4 == metrics()["classes"][row["class"]]
        assert (float(row["low"]), float(row["high"])) == pytest.approx(scores.wilson(right, 4), abs=1e-6)
    assert metrics()["test"]["accuracy"] == sum(one["actual"] == one["predicted"] for one in predictions) / 40


def test_all_answers_together_have_the_accuracy_of_the_test_set(evaluated: Workspace) -> None:
    assert float(table("coverage.csv")[-1]["accuracy"]) == metrics()["test"]["accuracy"]
    bins = table("reliability.csv")
    right = sum(int(row["images"]) * float(row["accuracy"]) for row in bins)
    assert right / 40 == pytest.approx(metrics()["test"]["accuracy"], abs=1e-5)


def test_every_image_has_its_prediction(evaluated: Workspace) -> None:
    _, answer = answers("test")
    rows = table("predictions.csv")
    assert [int(row["image"]) for row in rows] == list(range(40))
    confidence = [float(row["confidence"]) for row in rows]
    assert confidence == pytest.approx(answer.probabilities.max(axis=1).tolist(), rel=1e-5)
    assert all(0 <= float(row["probability_of_actual"]) <= float(row["confidence"]) <= 1 for row in rows)


def test_a_class_that_nobody_tested_has_the_interval_of_ignorance() -> None:
    confusion = scores.confusion(np.array([0, 0]), np.array([0, 1]), 3)
    assert evaluate.class_rows(confusion, ["a", "b", "c"]) == [
        {"class": "a", "images": 2, "accuracy": 0.5, "low": pytest.approx(0.0945, abs=1e-4), "high": 0.905469},
        {"class": "b", "images": 0, "accuracy": 0.0, "low": 0.0, "high": 1.0},
        {"class": "c", "images": 0, "accuracy": 0.0, "low": 0.0, "high": 1.0},
    ]


def test_the_accuracy_of_a_class_that_nobody_tested_is_left_out() -> None:
    test = LabelledImages(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.uint8))
    answer = Answer(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), NO_NOVELTY)
    assert evaluate.measure(np.array([[2, 0], [0, 0]]), answer, test, ["a", "b"])["classes"] == {"a": 1.0}


def test_the_class_named_is_that_of_the_largest_logit_where_probabilities_tie() -> None:
    logits = np.array([[40.0, 40.000004, 0]], np.float32)
    answer = Answer(logits, np.array([[0.5, 0.5, 0]], np.float32), NO_NOVELTY)
    (row,) = evaluate.predictions(
        LabelledImages(np.zeros((1, 1, 1, 1), np.uint8), np.array([1], np.uint8)), answer, ["a", "b", "c"]
    )
    assert row["predicted"] == "b"


def test_evaluating_again_gives_the_same_bytes(evaluated: Workspace) -> None:
    first = evaluated.files()
    evaluated.run("evaluate", NETWORK)
    assert evaluated.files() == first


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_size_changes_nothing(evaluated: Workspace, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    first = evaluated.files()
    monkeypatch.setattr(evaluate, "BATCH", batch)
    evaluated.run("evaluate", NETWORK)
    assert evaluated.files() == first


def test_nothing_is_left_of_an_earlier_evaluation(evaluated: Workspace) -> None:
    (RESULTS / NETWORK / "stale.csv").touch()
    evaluated.run("evaluate", NETWORK)
    assert not Path(RESULTS / NETWORK / "stale.csv").exists()
