from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from serve.inference import check, limits
from serve.inference.model import Model, ModelError
from tests.serve.networks import NETWORKS, Graph, lenet, residual, save

ROOT = Path(__file__).parents[2]
EXPORTED = sorted((ROOT / "models").glob("*.onnx"))
BATCHES = (1, 2, 3, 5, 8, 16, 33, 64)


def test_a_model_says_what_it_is(models_dir: Path) -> None:
    model = Model.load(models_dir / "lenet_28.onnx")
    assert (model.name, model.network, model.input_shape) == ("lenet_28", "lenet_28", (1, 28, 28))
    assert model.classes == [str(digit) for digit in range(10)]
    assert model.version == model.sha256[:12]
    assert model.metadata["parameters"] == {"lr": 0.1, "epochs": 2}
    assert model.metadata["dataset_sha256"] == "0" * 64


def test_a_file_without_our_metadata_is_served(tmp_path: Path) -> None:
    proto = lenet()
    del proto.metadata_props[:]
    model = Model.load(save(tmp_path, "plain", proto))
    assert (model.network, model.classes[3], model.metadata) == ("plain", "3", {})


@pytest.mark.parametrize("name", [*NETWORKS, *(str(path) for path in EXPORTED)])
def test_an_image_gets_the_same_bytes_alone_and_in_a_batch(name: str, models_dir: Path) -> None:
    model = Model.load(models_dir / f"{name}.onnx" if name in NETWORKS else name)
    images = np.random.default_rng(1).integers(0, 256, (max(BATCHES), *model.input_shape), dtype=np.uint8)
    alone = [model.predict(images[i : i + 1]) for i in range(len(images))]
    for count in BATCHES:
        together = model.predict(images[:count])
        for i in range(count):
            assert together.logits[i].tobytes() == alone[i].logits.tobytes()
            assert together.probabilities[i].tobytes() == alone[i].probabilities.tobytes()


def test_a_network_that_mixes_its_batch_answers_one_by_one(tmp_path: Path) -> None:
    graph = Graph()
    graph.normalize()
    graph.add("Flatten", "flatten", axis=1)
    graph.add("Softmax", "mix", axis=0)
    graph.dense("fc", 784, 10, output="logits")
    model = Model.load(save(tmp_path, "mixing", graph.model(28, "mixing")))
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    assert not model.batches
    assert model.predict(images).logits[3].tobytes() == model.predict(images[3:4]).logits.tobytes()


@pytest.mark.parametrize(
    "images", [np.zeros((1, 1, 28, 28), np.float32), np.zeros((1, 1, 32, 32), np.uint8), np.zeros((28, 28), np.uint8)]
)
def test_other_images_than_the_networks_are_refused(images: np.ndarray, models_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"lenet_28 takes uint8 \[N, 1, 28, 28\]"):
        Model.load(models_dir / "lenet_28.onnx").predict(images)


# Files that must not load: each function spoils a good network in one way.


def _unknown_operator(proto: onnx.ModelProto) -> None:
    proto.graph.node[3].op_type = "Loop"


def _bomb(proto: onnx.ModelProto) -> None:
    node = helper.make_node("ConstantOfShape", ["shape"], ["huge"])
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2**31]), "shape"))
    proto.graph.node.insert(0, node)


def _external_data(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[1]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _function(proto: onnx.ModelProto) -> None:
    proto.functions.add(name="f", domain="mine")


def _other_domain(proto: onnx.ModelProto) -> None:
    proto.opset_import.add(domain="com.microsoft", version=1)


def _node_of_other_domain(proto: onnx.ModelProto) -> None:
    proto.graph.node[3].domain = "com.microsoft"


def _subgraph(proto: onnx.ModelProto) -> None:
    proto.graph.node[3].attribute.append(helper.make_attribute("body", proto.graph))


def _training(proto: onnx.ModelProto) -> None:
    proto.training_info.add()


def _sparse(proto: onnx.ModelProto) -> None:
    proto.graph.sparse_initializer.add()


def _float_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _open_size(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"


def _fixed_batch(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _renamed_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "x"


def _no_probabilities(proto: onnx.ModelProto) -> None:
    del proto.graph.output[1]


def _missing_weight(proto: onnx.ModelProto) -> None:
    del proto.graph.initializer[1]


def _lying_weight(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[1].dims[0] = 10**6


def _nan(proto: onnx.ModelProto) -> None:
    array = numpy_helper.to_array(proto.graph.initializer[1]) * np.nan
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(array, proto.graph.initializer[1].name))


def _fewer_classes(proto: onnx.ModelProto) -> None:
    next(entry for entry in proto.metadata_props if entry.key == "cifra.classes").value = '["a", "b"]'


def _not_probabilities(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].op_type = "Relu"
    del proto.graph.node[-1].attribute[:]


def _many_nodes(proto: onnx.ModelProto) -> None:
    proto.graph.node.extend(proto.graph.node[3:4] * (limits.MODEL_NODES + 1))


def _cycle(proto: onnx.ModelProto) -> None:
    proto.graph.node[2].input[0] = proto.graph.node[5].output[0]


def _future_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 9999


SPOILED: dict[Callable[[onnx.ModelProto], None], str] = {
    _unknown_operator: "operator 'Loop'",
    _bomb: "operator 'ConstantOfShape'",
    _external_data: "in another file",
    _function: "functions",
    _other_domain: "domain 'com.microsoft'",
    _node_of_other_domain: "not on the list",
    _subgraph: "not a plain value",
    _training: "training",
    _sparse: "sparse",
    _float_input: "UINT8",
    _open_size: "fixed channels",
    _fixed_batch: "number of images open",
    _renamed_input: "one input 'image'",
    _no_probabilities: "outputs",
    _missing_weight: "one input|not valid|Nodes in a graph",
    _lying_weight: "not valid|refuses",
    _nan: "NaN",
    _fewer_classes: "10 outputs",
    _not_probabilities: "add up to 1",
    _many_nodes: "operators; at most",
    _cycle: "not valid",
    _future_opset: "not valid|refuses",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_bad_file_is_refused_in_one_line(spoil: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    proto = lenet()
    spoil(proto)
    with pytest.raises(ModelError, match=SPOILED[spoil]) as refusal:
        Model.load(save(tmp_path, "bad", proto))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("bad.onnx: ")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x04\x95pickle", b"PK\x03\x04", b"\x00" * 1000, b"\xff" * 1000, lenet().SerializeToString()[:5000]],
    ids=["empty", "pickle", "zip", "zeros", "ones", "truncated"],
)
def test_other_bytes_than_onnx_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"^bad\.onnx: "):
        Model.load(path)


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MODEL_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than 1000 bytes"):
        Model.load(save(tmp_path, "lenet_28"))


def test_too_much_work_per_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MODEL_OPERATIONS", 1000)
    with pytest.raises(ModelError, match="operations per image"):
        Model.load(save(tmp_path, "lenet_28"))


def test_padding_cannot_make_an_image_huge(tmp_path: Path) -> None:
    proto = residual()
    conv = next(node for node in proto.graph.node if node.name == "conv1")
    next(attribute for attribute in conv.attribute if attribute.name == "pads").ints[:] = [2**13] * 4
    with pytest.raises(ModelError, match="values per image"):
        Model.load(save(tmp_path, "bomb", proto))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read"):
        Model.load(tmp_path / "none.onnx")
