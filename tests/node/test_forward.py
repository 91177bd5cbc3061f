"""The page's forward pass says what ONNX Runtime says, layer by layer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from serve.inference.layers import Inspector
from serve.inference.model import Model, ModelError
from serve.protocol.packed import packed
from tests.node.running import node
from tests.serve.networks import Graph, deep, doubting, int8, lenet, lenet_with, mlp, residual, save

ROOT = Path(__file__).parents[2]
CLOSE = 1e-4
EXPORTED = sorted((ROOT / "models").glob("*.onnx"))

FORWARD = """
    const { Model } = await import(page + "/model.js");
    const model = new Model(bytesOf(args[0]).buffer);
    const images = bytesOf(args[1]);
    const each = model.shape.reduce((a, b) => a * b);
    const [rows, doubts] = [[], []];
    for (let at = 0; at < images.length; at += each) {
        const outputs = model.outputs(images.subarray(at, at + each), JSON.parse(args[3]));
        for (const { name } of model.layers) rows.push(outputs.get(name));
        doubts.push(model.doubts(outputs));
    }
    writeFileSync(args[2], Buffer.concat(rows.map(({ buffer }) => Buffer.from(buffer))));
    console.log(JSON.stringify(doubts));
"""


def forward(model: Model, images: np.ndarray, folder: Path, ablated: str = "[]") -> tuple[dict[str, np.ndarray], list]:
    """Outputs of every layer [N, …], and the doubts."""
    files = [folder / name for name in ("network", "images", "outputs")]
    files[0].write_bytes(packed(model))
    files[1].write_bytes(images.tobytes())
    doubts = node(FORWARD, *files, ablated)
    rows = np.fromfile(files[2], np.float32).reshape(len(images), -1)
    layers = Inspector(model).layers
    ends = np.cumsum([int(np.prod(layer.shape)) for layer in layers])
    parts = np.split(rows, ends[:-1], axis=1)
    return {layer.name: part.reshape(-1, *layer.shape) for layer, part in zip(layers, parts, strict=True)}, doubts


def images_for(model: Model, count: int = 100) -> np.ndarray:
    """Half of them test images, where there are any, half of noise."""
    found = np.random.default_rng(0).integers(0, 256, (count, *model.input_shape), np.uint8)
    samples = ROOT / "samples" / "samples.npy"
    if samples.is_file() and model.input_shape == (1, 28, 28):
        found[: count // 2] = np.load(samples)[: count // 2]
    return found


def hold(model: Model, images: np.ndarray, folder: Path) -> None:
    ours, doubts = forward(model, images, folder)
    theirs = Inspector(model).activations(images)
    assert list(ours) == list(theirs)
    worst = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in ours}
    assert max(worst.values()) <= CLOSE, worst
    answer = next(layer.name for layer in Inspector(model).layers if layer.value == "probabilities")
    assert (ours[answer].argmax(axis=1) == theirs[answer].argmax(axis=1)).all()
    assert doubts == model.predict(images).doubts


@pytest.mark.parametrize("path", EXPORTED or [None], ids=lambda path: path.stem if path else "none")
def test_every_layer_of_every_exported_network(path: Path | None, tmp_path: Path) -> None:
    if path is None:
        pytest.skip("there are no exported networks: make")
    model = Model.load(path)
    hold(model, images_for(model), tmp_path)


def grouped() -> onnx.ModelProto:
    """What our exports do not do and others do: groups, dilations, steps, uneven padding, a mean with padding."""
    graph = Graph()
    graph.normalize()
    graph.conv("conv1", 1, 6, 3, strides=[2, 2], pads=[0, 1, 1, 0])
    weight = graph.normal("conv2.weight", 9, 2, 3, 3)
    graph.add("Conv", "conv2", weight, kernel_shape=[3, 3], group=3, dilations=[2, 2], pads=[2, 2, 2, 2])
    graph.add("LeakyRelu", "leaky")
    graph.add("AveragePool", "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    graph.add("MaxPool", "most", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    graph.add("Elu", "elu")
    graph.add("Flatten", "flatten", axis=1)
    graph.dense("fc", 144, 10, output="logits")
    return graph.model(28, "grouped")


@pytest.mark.parametrize("make", [lenet, mlp, residual, deep, doubting, grouped], ids=lambda make: make.__name__)
def test_every_layer_of_any_network(make: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    model = Model.load(save(tmp_path, "network", make()))
    hold(model, images_for(model, 5), tmp_path)


def test_a_unit_that_is_switched_off(tmp_path: Path) -> None:
    model = Model.load(save(tmp_path, "network", lenet()))
    images = images_for(model, 3)
    ours, _ = forward(model, images, tmp_path, '[{"layer": "conv1", "unit": 2}, {"layer": "fc1", "unit": 7}]')
    theirs = Inspector(model).activations(images, [("conv1", 2), ("fc1", 7)])
    assert all(np.allclose(ours[name], theirs[name], atol=CLOSE) for name in ours)


REFUSED = """
    const { Model } = await import(page + "/model.js");
    try {
        new Model(bytesOf(args[0]).buffer);
    } catch (error) {
        console.log(JSON.stringify([error.constructor.name, error.message]));
    }
"""


def test_an_operator_that_the_page_lacks_is_refused_by_name(tmp_path: Path) -> None:
    model = Model.load(save(tmp_path, "other", lenet_with("Softplus")))
    (tmp_path / "network").write_bytes(packed(model))
    assert node(REFUSED, tmp_path / "network") == ["UnknownOperator", "Softplus"]


def test_a_network_in_eight_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="8-bit integers"):
        packed(Model.load(save(tmp_path, "int8", int8())))


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network").write_bytes(b"CIF9" + bytes(100))
    assert node(REFUSED, tmp_path / "network")[0] == "BadModel"
