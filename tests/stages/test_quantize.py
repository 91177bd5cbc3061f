"""int8 is kept where it is smaller, not slower and as right, and only there."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from cifra import quantize
from stages.core.cli import files
from stages.core.cli.paths import MODELS, REPORTS
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from tests.workspace import Workspace, publish_split

NETWORK = "mlp_512_512"


@pytest.fixture
def exported(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The network as it was made, with no training, and a clock that favours int8."""
    torch.manual_seed(1)
    publish_split()
    workspace.set(models={NETWORK: workspace.params["models"][NETWORK]})
    network = networks.build(NETWORK, (1, 28, 28), 10, widths=[512, 512]).eval()
    files.write(MODELS / f"{NETWORK}.onnx", onnx_file.to_onnx(network).SerializeToString())
    monkeypatch.setattr(quantize, "speed_up", lambda *_: 1.5)
    monkeypatch.setattr(quantize, "accuracy", lambda *_: 0.9)
    return workspace


def kept() -> bool:
    return (MODELS / "int8" / f"{NETWORK}.onnx").exists()


def test_what_wins_is_kept_and_answers_nearly_the_same(exported: Workspace) -> None:
    assert exported.run("quantize", "--network", NETWORK).code == 0
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 28, 28), dtype=np.uint8)
    small, whole = MODELS / "int8" / f"{NETWORK}.onnx", MODELS / f"{NETWORK}.onnx"
    answers = [
        onnxruntime.InferenceSession(path).run(["probabilities"], {"image": images})[0] for path in (small, whole)
    ]
    assert np.abs(answers[0] - answers[1]).max() < 0.02
    assert small.stat().st_size < whole.stat().st_size / 3


@pytest.mark.parametrize("seen", [{"speed_up": 0.99}, {"accuracy": [0.9, 0.8994]}])
def test_what_loses_is_not_kept_and_an_older_one_goes(
    exported: Workspace, monkeypatch: pytest.MonkeyPatch, seen: dict[str, float | list[float]]
) -> None:
    files.write(MODELS / "int8" / f"{NETWORK}.onnx", b"an older one")
    for name, value in seen.items():
        values = iter(value if isinstance(value, list) else [value])
        monkeypatch.setattr(quantize, name, lambda *_, values=values: next(values))
    assert "not kept" in exported.run("quantize", "--network", NETWORK).out
    assert not kept()


@pytest.mark.parametrize(("lost", "still"), [(0.0005, True), (0.0006, False)])
def test_the_gate_is_a_twentieth_of_a_point(lost: float, still: bool) -> None:
    row = {"accuracy": 0.9, "int8_accuracy": 0.9 - lost, "bytes": 2, "int8_bytes": 1, "times_as_fast": 1.0}
    assert quantize.wins(row) is still


def test_what_grows_is_not_kept() -> None:
    row = {"accuracy": 0.9, "int8_accuracy": 0.9, "bytes": 2, "int8_bytes": 2, "times_as_fast": 2.0}
    assert not quantize.wins(row)


def test_the_table_holds_every_network(exported: Workspace) -> None:
    exported.run("quantize")
    (row,) = files.read_csv(REPORTS / "int8.csv")
    assert (row["network"], row["kept"], row["times_as_fast"]) == (NETWORK, "True", "1.5")


def test_a_network_that_is_not_exported_is_one_line(exported: Workspace) -> None:
    Path(MODELS / f"{NETWORK}.onnx").unlink()
    outcome = exported.run("quantize", "--network", NETWORK)
    assert outcome.code == 2
    assert outcome.err == f"error: models/{NETWORK}.onnx is not there: run `dvc repro export@{NETWORK}`\n"
