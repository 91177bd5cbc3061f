"""int8 is kept where it is smaller and as accurate on the validation set; what is kept is served and traced."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from cifra import quantize
from serve.inference.model import Model
from stages.core.cli import files
from stages.core.cli.paths import INT8, MODELS, REPORTS
from stages.core.data import datasets
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from stages.core.onnx.novelty import Novelty
from tests.workspace import CLASSES, Workspace, publish_split

NETWORK = "lenet_28"
SOURCE, KEPT = MODELS / f"{NETWORK}.onnx", INT8 / f"{NETWORK}_int8.onnx"
METADATA = {
    "network": NETWORK,
    "classes": list(CLASSES),
    "dataset": "digits",
    "dataset_sha256": "1",
    "fingerprint": "2",
}


@pytest.fixture
def exported(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The network as it was made, with no training, and no time lost on clocks."""
    torch.manual_seed(1)
    publish_split(validation=200)
    workspace.set(models={NETWORK: workspace.params["models"][NETWORK]})
    layers = {"filters": [6, 16], "widths": [120, 84]}
    network = networks.build(NETWORK, (1, 28, 28), 10, **layers).eval()
    novelty = Novelty.fit(network, datasets.load("train"), datasets.load("validation").images)
    proto = onnx_file.to_onnx(network, 2.0, novelty)
    onnx_file.describe(proto, METADATA)
    files.write(SOURCE, proto.SerializeToString())
    monkeypatch.setattr(quantize, "ROUNDS", 1)
    return workspace


@pytest.fixture
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained network's answers lie close together."""
    monkeypatch.setattr(quantize, "MOST_LOST", 1)


@pytest.mark.usefixtures("tolerant")
def test_what_is_kept_is_served_answers_nearly_the_same_and_says_where_it_comes_from(exported: Workspace) -> None:
    assert exported.run("quantize", "--network", NETWORK).code == 0
    small, whole = Model.load(KEPT), Model.load(SOURCE)
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 28, 28), dtype=np.uint8)
    assert np.abs(small.predict(images).probabilities - whole.predict(images).probabilities).max() < 0.02
    assert KEPT.stat().st_size < SOURCE.stat().st_size / 2
    assert small.predict(images).doubts == whole.predict(images).doubts == [True] * 20
    assert small.name == f"{NETWORK}_int8"
    assert small.metadata == METADATA | {"quantized_from": hashlib.md5(SOURCE.read_bytes()).hexdigest()}
    traced = exported.run("trace", str(KEPT))
    assert (traced.code, traced.err) == (1, "")  # there is no dvc.lock here
    assert "fingerprint     2\n" in traced.out


@pytest.mark.usefixtures("tolerant")
def test_the_table_holds_the_accuracy_on_the_validation_set(exported: Workspace) -> None:
    exported.run("quantize")
    (row,) = files.read_csv(REPORTS / "int8.csv")
    validation = datasets.load("validation")
    for column, path in (("validation_accuracy", SOURCE), ("int8_validation_accuracy", KEPT)):
        right = Model.load(path).predict(validation.images).logits.argmax(1) == validation.labels
        assert float(row[column]) == pytest.approx(right.mean())
    assert (int(row["bytes"]), int(row["int8_bytes"])) == (SOURCE.stat().st_size, KEPT.stat().st_size)
    assert float(row["speedup_low"]) <= float(row["speedup"]) <= float(row["speedup_high"])


def test_what_loses_is_not_kept_and_an_older_one_goes(exported: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(KEPT, b"an older one")
    monkeypatch.setattr(quantize, "MOST_LOST", -1)
    assert "not kept" in exported.run("quantize", "--network", NETWORK).out
    assert not KEPT.exists()


@pytest.mark.parametrize(
    ("lost", "bytes_", "speedup", "still"),
    [(0.0005, 1, 0.5, True), (0.0006, 1, 2, False), (0, 2, 2, False), (-0.1, 1, 1, True)],
    ids=["a twentieth of a point less", "more than that", "no smaller", "slower"],
)
def test_size_and_accuracy_decide_and_not_the_clock(lost: float, bytes_: int, speedup: float, still: bool) -> None:
    row = {"validation_accuracy": 0.9, "int8_validation_accuracy": 0.9 - lost, "bytes": 2, "int8_bytes": bytes_}
    assert quantize.wins(row | {"speedup": speedup}) is still


def test_a_network_that_is_not_exported_is_one_line(exported: Workspace) -> None:
    Path(SOURCE).unlink()
    outcome = exported.run("quantize", "--network", NETWORK)
    assert outcome.code == 2
    assert outcome.err == f"error: models/{NETWORK}.onnx is not there: run `dvc repro export@{NETWORK}`\n"
