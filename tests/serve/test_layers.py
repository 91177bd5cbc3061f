from pathlib import Path

import numpy as np
import pytest

from serve.inference.layers import Inspector, Layer
from serve.inference.model import Model
from tests.serve.networks import NETWORKS

ROOT = Path(__file__).parents[2]
EXPORTED = sorted((ROOT / "models").glob("*.onnx"))
KINDS = {
    "input", "normalized", "convolution", "dense", "activation", "pooling", "normalization", "reshape",
    "arithmetic", "softmax", "identity",
}  # fmt: skip


@pytest.fixture(params=[*NETWORKS, *(str(path) for path in EXPORTED)], ids=lambda name: Path(name).stem)
def inspector(request: pytest.FixtureRequest, models_dir: Path) -> Inspector:
    name = request.param
    return Inspector(Model.load(models_dir / f"{name}.onnx" if name in NETWORKS else name))


def _images(model: Model, count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *model.input_shape), dtype=np.uint8)


def test_every_layer_has_the_shape_it_says(inspector: Inspector) -> None:
    activations = inspector.activations(_images(inspector.model, 3))
    assert list(activations) == [layer.name for layer in inspector.layers]
    for layer in inspector.layers:
        assert layer.kind in KINDS
        assert activations[layer.name].shape == (3, *layer.shape)
        assert activations[layer.name].dtype == np.float32


def test_the_last_layer_is_the_answer(inspector: Inspector) -> None:
    images = _images(inspector.model, 4)
    expected = inspector.model.predict(images).probabilities
    np.testing.assert_allclose(inspector.answer_of(inspector.activations(images)), expected, atol=1e-6)


def test_every_number_follows_from_the_layer_before(inspector: Inspector) -> None:
    """What the page shows when one points at a number: recomputed from weights and options alone."""
    values = inspector.activations(_images(inspector.model, 1))
    checked = 0
    for layer in inspector.layers:
        recompute = {"Conv": _convolve, "Gemm": _dense, "MaxPool": _pool, "AveragePool": _pool}.get(layer.op)
        if recompute is not None:
            expected = recompute(layer, values[layer.inputs[0]][0], inspector.weights(layer.name))
            np.testing.assert_allclose(values[layer.name][0], expected, rtol=1e-3, atol=1e-4)
            checked += 1
    assert checked >= 3


def _windows(layer: Layer, values: np.ndarray, fill: float) -> np.ndarray:
    """[C, H, W, kernel, kernel] of the padded input."""
    options = layer.options
    top, left, bottom, right = options["pads"]
    padded = np.pad(values, ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, options["kernel"], (1, 2))
    return windows[:, :: options["strides"][0], :: options["strides"][1]]


def _convolve(layer: Layer, values: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    windows = _windows(layer, values, 0)
    return np.einsum("chwij,ocij->ohw", windows, weights["weight"]) + weights["bias"][:, None, None]


def _dense(layer: Layer, values: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    return weights["weight"] @ values + weights["bias"]


def _pool(layer: Layer, values: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    windows = _windows(layer, values, -np.inf if layer.op == "MaxPool" else 0)
    return windows.max(axis=(3, 4)) if layer.op == "MaxPool" else windows.mean(axis=(3, 4))


def test_parameters_are_counted(models_dir: Path) -> None:
    layers = {layer.name: layer for layer in Inspector(Model.load(models_dir / "residual.onnx")).layers}
    assert layers["conv2"].parameters == 8 * 8 * 9 + 8
    assert layers["bn1"].parameters == 16
    assert layers["add1"].inputs == ("bn2", "relu1")
    assert layers["conv2"].options["pads"] == [1, 1, 1, 1]


def test_a_unit_switched_off_is_off_for_all_that_follows(models_dir: Path) -> None:
    inspector = Inspector(Model.load(models_dir / "lenet_28.onnx"))
    images = _images(inspector.model, 2)
    before = inspector.activations(images)
    after = inspector.activations(images, [("relu1", 2), ("relu1", 4)])
    assert not after["relu1"][:, [2, 4]].any()
    assert not after["pool1"][:, [2, 4]].any()
    assert before["relu1"][:, [2, 4]].any()
    np.testing.assert_array_equal(after["relu1"][:, [0, 1, 3, 5]], before["relu1"][:, [0, 1, 3, 5]])
    assert (after["fc3"] != before["fc3"]).any()


@pytest.mark.parametrize(("layer", "unit"), [("nope", 0), ("conv1", 6), ("conv1", -1), ("image", 0)])
def test_a_unit_that_does_not_exist_is_named(layer: str, unit: int, models_dir: Path) -> None:
    inspector = Inspector(Model.load(models_dir / "lenet_28.onnx"))
    with pytest.raises(ValueError, match=r"conv1 has the units 0 to 5|has no layer"):
        inspector.activations(_images(inspector.model, 1), [(layer, unit)])
