"""The contract between the halves of the house: what the ONNX file is, says and answers."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import nn

from serve.inference.model import Model
from stages import export
from stages.core.cli.errors import UserError
from stages.core.cli.paths import MODEL_INFO, MODELS, WEIGHTS
from stages.core.data import datasets
from stages.core.networks import networks
from stages.core.networks.modules import Norm
from stages.core.networks.networks import Network
from stages.core.onnx import calibration, onnx_file
from tests.workspace import CLASSES, COMPUTED, PARAMS, Workspace, publish_split

NETWORKS = sorted(PARAMS["models"])
CONVOLUTIONAL = {
    "simple_cnn": "conv1 relu1 pool1 conv2 relu2 pool2 flatten fc1 relu3 fc2",
    "dropout_cnn": "conv1 relu1 conv2 relu2 pool1 flatten fc1 relu3 fc2 log_softmax",
    "conv_net": "conv1 relu1 pool1 conv2 relu2 pool2 flatten fc1 relu3 fc2",
    "lenet_28": "conv1 relu1 pool1 conv2 relu2 pool2 flatten fc1 relu3 fc2 relu4 fc3",
    "lenet_32": "conv1 relu1 pool1 conv2 relu2 pool2 flatten fc1 relu3 fc2 relu4 fc3",
    "fast_cnn": "conv1 pool1 relu1 conv2 pool2 relu2 conv3 relu3 flatten fc1",
    "best_cnn": "conv1 relu1 conv2 pool1 relu2 conv3 relu3 conv4 pool2 relu4 conv5 relu5 conv6 pool3 relu6 conv7 relu7 "
    "flatten fc1",
}
LAYERS = {name: names.split() for name, names in CONVOLUTIONAL.items()} | {
    name: ["flatten", "fc1", "relu1", "fc2", "relu2", "fc3"] for name in ("mlp_64_128", "mlp_512_512")
}
OPERATORS = {
    "conv": "Conv",
    "relu": "Relu",
    "pool": "MaxPool",
    "flatten": "Flatten",
    "fc": "Gemm",
    "log_softmax": "LogSoftmax",
}


@dataclass(frozen=True)
class Exported:
    name: str
    network: Network
    shape: tuple[int, ...]
    data: bytes

    @property
    def proto(self) -> onnx.ModelProto:
        return onnx.load_model_from_string(self.data)

    def run(self, images: Any) -> list[Any]:
        """In plain onnxruntime, with no code of ours."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])
        answers: list[Any] = session.run(None, {"image": images})
        return answers


def untrained(name: str) -> Network:
    torch.manual_seed(1)
    shape = networks.input_shape(name, (1, 28, 28))
    layers = {key: PARAMS["models"][name][key] for key in ("filters", "widths") if key in PARAMS["models"][name]}
    built = networks.build(name, shape, 10, **layers)
    for norm in (layer for layer in built if isinstance(layer, Norm)):  # as if it had seen images
        norm.running_mean, norm.running_var = torch.randn_like(norm.bias), torch.rand_like(norm.bias) + 0.5
        norm.bias.data.normal_()
    return built.eval()


def to_bytes(network: networks.Network) -> bytes:
    data: bytes = onnx_file.to_onnx(network).SerializeToString(deterministic=True)
    return data


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest) -> Exported:
    network = untrained(request.param)
    return Exported(request.param, network, network.shape, to_bytes(network))


def some_images(shape: tuple[int, ...], count: int) -> Any:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_answers_as_torch_does_for_any_number_of_images(exported: Exported, count: int) -> None:
    images = some_images(exported.shape, count)
    logits, probabilities = exported.run(images)
    with torch.inference_mode():
        wanted = exported.network(torch.from_numpy(images).float() / 255)
    assert np.abs(logits - wanted.numpy()).max() <= 1e-5
    assert np.abs(probabilities - wanted.softmax(1).numpy()).max() <= 1e-6
    assert (logits.dtype, probabilities.dtype) == (np.float32, np.float32)


def test_probabilities_are_those_of_the_logits_at_the_temperature() -> None:
    network = untrained(NETWORK)
    data = onnx_file.to_onnx(network, 1.7).SerializeToString(deterministic=True)
    logits, probabilities = Exported(NETWORK, network, network.shape, data).run(some_images(network.shape, 5))
    assert probabilities == pytest.approx(torch.from_numpy(logits / 1.7).softmax(1).numpy(), abs=1e-6)


def test_input_and_outputs_are_those_of_the_contract(exported: Exported) -> None:
    graph = exported.proto.graph
    (image,) = graph.input
    dims = image.type.tensor_type.shape.dim
    assert image.name == "image"
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert dims[0].dim_param
    assert tuple(dim.dim_value for dim in dims[1:]) == exported.shape
    assert [value.name for value in graph.output] == ["logits", "probabilities"]
    for value in graph.output:
        assert value.type.tensor_type.shape.dim[0].dim_param
        assert value.type.tensor_type.shape.dim[1].dim_value == 10


def test_layers_have_their_names(exported: Exported) -> None:
    nodes = [node for node in exported.proto.graph.node if node.op_type != "Constant"]
    cast, normalized, *layers, probabilities = nodes
    assert (cast.op_type, normalized.op_type, probabilities.op_type) == ("Cast", "Div", "Softmax")
    assert (normalized.name, list(normalized.output)) == ("normalized", ["normalized"])
    assert (probabilities.name, list(probabilities.output)) == ("probabilities", ["probabilities"])
    names = LAYERS[exported.name]
    assert [node.name for node in layers] == names
    assert [node.output[0] for node in layers] == [*names[:-1], "logits"]
    kinds = [name.rstrip("0123456789") for name in names]
    assert [node.op_type for node in layers] == [OPERATORS[kind] for kind in kinds]


def test_weights_have_their_layers_names_and_values(exported: Exported) -> None:
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in exported.proto.graph.initializer}
    if any(isinstance(layer, Norm) for layer in exported.network):
        assert {name.partition(".")[0] for name in held} == {
            "white",
            *(name for name in LAYERS[exported.name] if name[:2] in ("co", "fc")),
        }
        return
    for name, weights in exported.network.state_dict().items():
        assert np.array_equal(held[name], weights.numpy())


def test_no_name_stands_twice_and_none_is_dangling(exported: Exported) -> None:
    graph = exported.proto.graph
    made = [output for node in graph.node for output in node.output]
    known = {"image", *made, *(tensor.name for tensor in graph.initializer)}
    assert len(set(made)) == len(made)
    assert len({node.name for node in graph.node}) == len(graph.node)
    assert {name for node in graph.node for name in node.input} <= known
    assert {value.name for value in graph.value_info} <= known


def test_it_is_one_valid_file_that_an_onnxruntime_of_2021_reads(exported: Exported) -> None:
    proto = exported.proto
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.ir_version, [(opset.domain, opset.version) for opset in proto.opset_import]) == (8, [("", 13)])
    assert not any(tensor.external_data for tensor in proto.graph.initializer)


def test_nothing_of_this_machine_is_in_it(exported: Exported) -> None:
    paths = [b"/home", b"/root", b"/tmp", b"/usr", b"/work", b"site-packages", b".py", b"C:\\", b"\\Users"]
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or "nobody-in-particular"
    texts = exported.proto
    for tensor in texts.graph.initializer:  # weights may hold any bytes
        tensor.ClearField("raw_data")
    data = texts.SerializeToString()
    assert not [path for path in [*paths, str(Path.cwd()).encode(), user.encode()] if path in data]


@pytest.mark.parametrize("name", NETWORKS)
def test_exporting_again_gives_the_same_bytes(name: str) -> None:
    assert to_bytes(untrained(name)) == to_bytes(untrained(name))


def test_the_server_takes_it(exported: Exported, tmp_path: Path) -> None:
    path = tmp_path / "some.onnx"
    path.write_bytes(exported.data)
    assert Model.load(path).input_shape == exported.shape


def test_colour_and_other_classes_are_exported_too() -> None:
    network = networks.build("lenet_any", (3, 40, 36), 4, filters=[3], widths=[5]).eval()
    colourful = Exported("lenet_any", network, (3, 40, 36), to_bytes(network))
    logits, probabilities = colourful.run(some_images((3, 40, 36), 3))
    assert logits.shape == probabilities.shape == (3, 4)


def layered(*layers: torch.nn.Module) -> Network:
    """A network of layers of one's own, for images of 2×21×17."""
    network = Network((2, 21, 17))
    for number, layer in enumerate(layers, 1):
        network.add_module(f"layer{number}", layer)
    return network.eval()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(2, 1), groups=2),
        nn.Conv2d(2, 3, 3, bias=False),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d((3, 2), stride=(1, 2), padding=1),
        nn.Sigmoid(),
        nn.Dropout(0.9),
    ],
    ids=lambda layer: str(layer).replace(" ", ""),
)
def test_every_option_of_a_layer_is_taken_along(layer: torch.nn.Module) -> None:
    torch.manual_seed(1)
    flat = layered(layer, nn.Flatten()).output_shape()[0]
    network = layered(layer, nn.Flatten(), nn.Linear(flat, 3, bias=False), nn.LogSoftmax(1))
    images = some_images(network.shape, 4)
    logits, _ = Exported("some", network, network.shape, to_bytes(network)).run(images)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(images).float() / 255)
    assert np.abs(logits - wanted.numpy()).max() <= 1e-5


def test_a_layer_without_an_operator_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^layer layer2 is a Softplus, .*add it to OPERATORS in stages/core/onnx/"):
        to_bytes(layered(nn.Flatten(), nn.Softplus()))


@pytest.mark.parametrize("training", [True, False])
def test_exporting_leaves_the_network_as_it_was(training: bool) -> None:
    network = untrained("dropout_cnn").train(training)
    to_bytes(network)
    assert network.training is training


NETWORK = "lenet_28"


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """As the stage finds things after `train`."""
    publish_split()
    publish_weights(untrained(NETWORK).state_dict())
    return workspace


def publish_weights(weights: dict[str, torch.Tensor], name: str = NETWORK) -> None:
    folder = WEIGHTS / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "weights.safetensors")
    record = {"network": name, "recipe": PARAMS["models"][name], "seed": 123, "threads": 1, "accelerator": "cpu"}
    record |= COMPUTED | {"torch": "2.12", "fingerprint": "0123456789abcdef", "epochs": 5, "best_epoch": 4}
    (folder / "training.json").write_text(json.dumps(record))


def test_the_stage_publishes_model_and_card(trained: Workspace) -> None:
    outcome = trained.run("export", NETWORK)
    assert (outcome.code, outcome.err) == (0, "")
    assert [path.name for path in MODELS.iterdir()] == ["lenet_28.onnx"]
    model_info = json.loads((MODEL_INFO / "lenet_28.json").read_text())
    assert model_info["parameters"] == 61_706
    assert model_info["macs"] == 416_520
    assert model_info["bytes"] == (MODELS / "lenet_28.onnx").stat().st_size
    assert (model_info["epochs"], model_info["best_epoch"], model_info["fingerprint"]) == (5, 4, "0123456789abcdef")
    assert [row["layer"] for row in model_info["layers"]] == LAYERS[NETWORK]
    assert model_info["parity"]["images"] == 20
    assert model_info["parity"]["batches"] == [1, 2, 17, 256]
    assert model_info["parity"]["largest_difference"] <= 1e-4


def test_the_file_says_what_it_is(quick: Workspace) -> None:
    quick.run("export", NETWORK)
    props = {entry.key: entry.value for entry in onnx.load_model(MODELS / "lenet_28.onnx").metadata_props}
    assert props["cifra.network"] == NETWORK
    assert props["cifra.dataset"] == "digits"
    assert props["cifra.dataset_sha256"] == datasets.metadata()["sha256"]
    assert props["cifra.fingerprint"] == "0123456789abcdef"
    assert json.loads(props["cifra.classes"]) == list(CLASSES)
    parameters = json.loads(props["cifra.parameters"])
    assert parameters == PARAMS["models"][NETWORK] | {"seed": 123, "threads": 1, "accelerator": "cpu"} | COMPUTED
    assert {"torch", "onnx", "cifra"} <= set(json.loads(props["cifra.versions"]))


def test_the_stage_gives_the_same_bytes_twice(trained: Workspace) -> None:
    trained.run("export", NETWORK)
    first = trained.files()
    trained.run("export", NETWORK)
    assert trained.files() == first


def test_the_temperature_is_that_of_the_validation_images(trained: Workspace) -> None:
    export.main(NETWORK)
    path = MODELS / f"{NETWORK}.onnx"
    model = Model.load(path)
    validation = datasets.load("validation", model.input_shape[-1])
    wanted = calibration.temperature(model.predict(validation.images).logits, validation.labels)
    assert float(model.metadata["temperature"]) == pytest.approx(wanted, rel=0.01)
    answer = model.predict(validation.images)
    assert answer.probabilities == pytest.approx(torch.from_numpy(answer.logits / wanted).softmax(1).numpy(), abs=1e-3)


@pytest.mark.parametrize(("validation", "outputs"), [(60, 3), (49, 2)])
def test_what_is_none_of_the_classes_is_told_where_there_are_images_to_tell_by(
    validation: int, outputs: int, trained: Workspace
) -> None:
    publish_split(validation=validation)
    said = trained.run("export", NETWORK).out
    assert ("to tell what looks like none of the classes" in said) is (outputs == 2)
    model = Model.load(MODELS / f"{NETWORK}.onnx")
    assert ["logits", "probabilities", "novelty"][:outputs] == [each.name for each in model.session.get_outputs()]
    doubts = model.predict(np.random.default_rng(0).integers(0, 256, (9, 1, 28, 28), np.uint8)).doubts
    assert set(doubts) == ({True} if outputs == 3 else {None})


@pytest.fixture(scope="module")
def right() -> bytes:
    return to_bytes(untrained(NETWORK))


@pytest.fixture
def quick(trained: Workspace, monkeypatch: pytest.MonkeyPatch, right: bytes) -> Workspace:
    """With the file made beforehand: for tests of what happens to it then."""
    monkeypatch.setattr(onnx_file, "to_onnx", lambda *_: onnx.load_model_from_string(right))
    return trained


def tamper(monkeypatch: pytest.MonkeyPatch, by: Any) -> None:
    """The file that is made has other weights than those that were trained."""
    to_onnx = onnx_file.to_onnx

    def wrong(*parts: Any) -> onnx.ModelProto:
        proto = to_onnx(*parts)
        (bias,) = [tensor for tensor in proto.graph.initializer if tensor.name == "fc3.bias"]
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.asarray(by, np.float32), bias.name))
        return proto

    monkeypatch.setattr(onnx_file, "to_onnx", wrong)


@pytest.mark.parametrize("by", [2e-4, 1.0])
def test_a_file_that_answers_otherwise_is_not_published(
    quick: Workspace, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    before = quick.files()
    tamper(monkeypatch, by)
    outcome = quick.run("export", NETWORK)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "does not match PyTorch (batch 1: largest difference" in outcome.err
    assert quick.files() == before


def test_a_file_that_answers_nearly_the_same_is_published(quick: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, 2e-5)
    assert quick.run("export", NETWORK).code == 0


def test_a_file_that_names_another_class_is_not_published_however_near(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = untrained(NETWORK).state_dict()
    weights["fc3.weight"].zero_()
    weights["fc3.bias"].copy_(torch.tensor([0.0, -1e-5, *[-1.0] * 8]))
    publish_weights(weights)
    tamper(monkeypatch, np.array([0, 2e-5, *[0] * 8], np.float32))
    assert "largest difference 2.0e-05, allowed 2e-04; 20 other answers" in trained.run("export", NETWORK).err
    assert not MODELS.exists()


@pytest.mark.parametrize(("share", "code"), [(2e-5, 0), (1e-3, 2)])
def test_of_large_logits_more_may_differ_but_no_more_of_their_size(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch, share: float, code: int
) -> None:
    """As after a training with far too large a learning rate."""
    weights = untrained(NETWORK).state_dict()
    weights["fc3.weight"] *= 0
    weights["fc3.bias"].copy_(torch.tensor([1e4, *[0.0] * 9]))
    publish_weights(weights)
    tamper(monkeypatch, np.array([1e4 * share, *[0] * 9], np.float32))
    outcome = trained.run("export", NETWORK)
    assert outcome.code == code, outcome.err


def test_every_batch_size_is_held_against_torch(quick: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that errs only in a batch of 17 does not get through."""
    predict = Model.predict

    def wrong(model: Model, images: Any) -> Any:
        answer = predict(model, images)
        return answer._replace(logits=answer.logits[::-1]) if len(images) == 17 else answer

    monkeypatch.setattr(Model, "predict", wrong)
    assert "(batch 17: largest difference" in quick.run("export", NETWORK).err
    assert not MODELS.exists()


def test_weights_that_give_no_numbers_are_not_published(trained: Workspace) -> None:
    weights = untrained(NETWORK).state_dict()
    weights["fc3.bias"][0] = float("nan")
    publish_weights(weights)
    outcome = trained.run("export", NETWORK)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "Not published" in outcome.err
    assert not MODELS.exists()


@pytest.mark.parametrize("harm", ["truncated", "of another network"])
def test_weights_that_do_not_fit_are_one_line(trained: Workspace, harm: str) -> None:
    path = WEIGHTS / NETWORK / "weights.safetensors"
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        save_file({"fc1.weight": torch.zeros(3, 3)}, path)
    outcome = trained.run("export", NETWORK)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "weights.safetensors cannot be used" in outcome.err
    assert not MODELS.exists()


def test_the_gate_looks_at_every_test_image(quick: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    predict = Model.predict
    monkeypatch.setattr(Model, "predict", lambda model, images: seen.append(len(images)) or predict(model, images))
    assert export.main(NETWORK) is None
    assert seen == [1] * 20 + [2] * 10 + [17, 3] + [20]
