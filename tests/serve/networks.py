"""Small ONNX networks of the contract, with seeded random weights, for tests that need no training."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = [str(digit) for digit in range(10)]


class Graph:
    """Nodes and weights in the order they are added; `value` is the name of the last output."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.value = "image"
        self.random = np.random.default_rng(seed)

    def add(self, op: str, name: str, *extra: str, output: str = "", **attributes: object) -> str:
        output = output or name
        self.nodes.append(helper.make_node(op, [self.value, *extra], [output], name=name, **attributes))
        self.value = output
        return output

    def constant(self, name: str, array: np.ndarray, dtype: type[np.generic] = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def normal(self, name: str, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) or 1
        return self.constant(name, self.random.normal(0, fan_in**-0.5, shape))

    def normalize(self) -> None:
        self.add("Cast", "as_float", to=TensorProto.FLOAT)
        self.add("Div", "scale", self.constant("white", np.array(255)), output="normalized")

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, **attributes: object) -> None:
        weight = self.normal(f"{name}.weight", outputs, inputs, kernel, kernel)
        bias = self.constant(f"{name}.bias", self.random.normal(0, 0.1, outputs))
        self.add("Conv", name, weight, bias, kernel_shape=[kernel, kernel], **attributes)

    def dense(self, name: str, inputs: int, outputs: int, output: str = "") -> None:
        weight = self.normal(f"{name}.weight", outputs, inputs)
        bias = self.constant(f"{name}.bias", self.random.normal(0, 0.1, outputs))
        self.add("Gemm", name, weight, bias, output=output, transB=1)

    def batch_norm(self, name: str, channels: int) -> None:
        roles = {role: self.random.uniform(0.5, 1.5, channels) for role in ("scale", "bias", "mean", "variance")}
        self.add("BatchNormalization", name, *(self.constant(f"{name}.{r}", a) for r, a in roles.items()))

    def model(self, size: int, network: str, classes: list[str] | None = CLASSES) -> onnx.ModelProto:
        self.add("Softmax", "softmax", output="probabilities", axis=1)
        count = len(classes or CLASSES)
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count]) for name in ("logits", "probabilities")
        ]
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, size, size])
        graph = helper.make_graph(self.nodes, network, [image], outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        if classes is not None:
            helper.set_model_props(model, _metadata(network, classes))
        return model


def _metadata(network: str, classes: list[str]) -> dict[str, str]:
    return {
        "cifra.network": network,
        "cifra.classes": json.dumps(classes),
        "cifra.dataset": "digits",
        "cifra.dataset_sha256": "0" * 64,
        "cifra.parameters": json.dumps({"lr": 0.1, "epochs": 2}),
        "cifra.fingerprint": "f" * 16,
        "cifra.versions": json.dumps({"torch": "0.0"}),
    }


def lenet(seed: int = 0) -> onnx.ModelProto:
    graph = Graph(seed)
    graph.normalize()
    graph.conv("conv1", 1, 6, 5)
    graph.add("Relu", "relu1")
    graph.add("MaxPool", "pool1", kernel_shape=[2, 2], strides=[2, 2])
    graph.conv("conv2", 6, 16, 5)
    graph.add("Relu", "relu2")
    graph.add("MaxPool", "pool2", kernel_shape=[2, 2], strides=[2, 2])
    graph.add("Flatten", "flatten", axis=1)
    graph.dense("fc1", 256, 120)
    graph.add("Relu", "relu3")
    graph.dense("fc2", 120, 84)
    graph.add("Relu", "relu4")
    graph.dense("fc3", 84, 10, output="logits")
    return graph.model(28, "lenet_28")


def mlp(seed: int = 0) -> onnx.ModelProto:
    graph = Graph(seed)
    graph.normalize()
    graph.add("Flatten", "flatten", axis=1)
    graph.dense("fc1", 784, 512)
    graph.add("Sigmoid", "sigmoid1")
    graph.dense("fc2", 512, 512)
    graph.add("Sigmoid", "sigmoid2")
    graph.dense("fc3", 512, 10, output="logits")
    return graph.model(28, "mlp")


def residual(seed: int = 0) -> onnx.ModelProto:
    graph = Graph(seed)
    graph.normalize()
    graph.conv("conv1", 1, 8, 3, pads=[1, 1, 1, 1])
    graph.batch_norm("bn1", 8)
    skip = graph.add("Relu", "relu1")
    graph.conv("conv2", 8, 8, 3, auto_pad="SAME_UPPER")
    graph.batch_norm("bn2", 8)
    graph.add("Add", "add1", skip)
    graph.add("Relu", "relu2")
    graph.add("AveragePool", "pool1", kernel_shape=[2, 2], strides=[2, 2])
    graph.add("GlobalAveragePool", "pool2")
    graph.add("Flatten", "flatten", axis=1)
    graph.dense("fc", 8, 10)
    graph.add("LogSoftmax", "log_softmax", output="logits", axis=1)
    return graph.model(32, "residual")


def deep(seed: int = 0) -> onnx.ModelProto:
    """Eight convolutions with up to 64 maps, the mean of each map at the end."""
    graph = Graph(seed)
    graph.normalize()
    inputs = 1
    for number, maps in enumerate((16, 16, 32, 32, 64, 64, 64, 64), 1):
        graph.conv(f"conv{number}", inputs, maps, 3, pads=[1, 1, 1, 1])
        graph.add("Relu", f"relu{number}")
        if number in (2, 4):
            kind = "MaxPool" if number == 2 else "AveragePool"
            graph.add(kind, f"pool{number // 2}", kernel_shape=[2, 2], strides=[2, 2])
        inputs = maps
    graph.add("ReduceMean", "mean", graph.constant("axes", np.array([2, 3]), np.int64), keepdims=0)
    graph.dense("fc", 64, 10, output="logits")
    graph.add("Div", "calibrated", graph.constant("temperature", np.array(2), np.float32))
    return graph.model(28, "small_vgg")


def doubting(classes: list[str] = CLASSES, novelty: float = 2) -> onnx.ModelProto:
    """The LeNet, to which every image is so novel."""
    model = lenet()
    nodes = [
        helper.make_node("ReduceMin", ["logits"], ["least"], axes=[1]),
        helper.make_node("Mul", ["least", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "much"], ["novelty"]),
    ]
    model.graph.node.extend(nodes)
    constants = {"nothing": 0, "much": novelty}
    model.graph.initializer.extend(numpy_helper.from_array(np.float32([v]), name) for name, v in constants.items())
    model.graph.output.append(helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["N", 1]))
    model.opset_import[0].version = 13
    helper.set_model_props(model, _metadata("lenet_28", classes))
    return model


def lenet_with(operator: str) -> onnx.ModelProto:
    """The LeNet with another activation."""
    model = lenet()
    next(node for node in model.graph.node if node.name == "relu2").op_type = operator
    return model


def int8() -> onnx.ModelProto:
    """The LeNet, a layer of which passes through 8-bit integers."""
    model = lenet()
    place = next(index for index, node in enumerate(model.graph.node) if node.name == "pool1")
    model.graph.node[place].input[0] = "large"
    for operator, source, value in (("DequantizeLinear", "small", "large"), ("QuantizeLinear", "relu1", "small")):
        model.graph.node.insert(place, helper.make_node(operator, [source, "step", "zero"], [value]))
    model.graph.initializer.append(helper.make_tensor("step", TensorProto.FLOAT, [], [0.1]))
    model.graph.initializer.append(helper.make_tensor("zero", TensorProto.UINT8, [], [0]))
    return model


NETWORKS = {"lenet_28": lenet, "mlp": mlp, "residual": residual}


def save(directory: Path, name: str, model: onnx.ModelProto | None = None) -> Path:
    path = directory / f"{name}.onnx"
    path.write_bytes((model or NETWORKS[name]()).SerializeToString())
    return path


def save_samples(directory: Path) -> None:
    """Test images beside the models, as the pipeline leaves them."""
    labels = [digit % 10 for digit in range(30)]
    images = np.zeros((len(labels), 1, 28, 28), np.uint8)
    for number, label in enumerate(labels):
        images[number, 0, 4:24, 5 + label : 9 + label] = 255
    np.save(directory / "samples.npy", images, allow_pickle=False)
    metadata = {"dataset": "digits", "classes": [str(digit) for digit in range(10)], "labels": labels, "networks": {}}
    (directory / "samples.json").write_text(json.dumps(metadata))
