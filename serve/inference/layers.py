"""What happens inside a network, layer by layer, read from its ONNX graph alone.

inspector = Inspector(Model.load("models/lenet_28.onnx"))
inspector.layers                        # [Layer(name="conv1", kind="convolution", shape=(6, 24, 24), …), …]
inspector.activations(images)["conv1"]  # float32 [N, 6, 24, 24]
inspector.weights("conv1")              # {"weight": [6, 1, 5, 5], "bias": [6]}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from serve.inference.check import IMAGE, PROBABILITIES, Shapes
from serve.inference.graph import constants_of, options_of, weights_of
from serve.inference.model import Floats, Images, Model, session_of

KINDS = {
    "Conv": "convolution",
    "Gemm": "dense",
    "MatMul": "dense",
    "MaxPool": "pooling",
    "AveragePool": "pooling",
    "GlobalMaxPool": "pooling",
    "GlobalAveragePool": "pooling",
    "ReduceMean": "pooling",
    "BatchNormalization": "normalization",
    "Flatten": "reshape",
    "Reshape": "reshape",
    "Squeeze": "reshape",
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Add": "arithmetic",
    "Sub": "arithmetic",
    "Mul": "arithmetic",
    "Div": "arithmetic",
    "Cast": "arithmetic",
    "Identity": "identity",
    "Dropout": "identity",
}
STATISTICS = frozenset({"mean", "variance"})  # measured, not learnt
SCALING = frozenset({"Cast", "Div", "Sub", "Mul", "Add"})
INPUT = "input"
NORMALIZED = "normalized"
MASK = "mask:"
UNMASKED = "unmasked:"


@dataclass(frozen=True)
class Layer:
    """One step of the network, for one image."""

    name: str
    kind: str
    """input, normalized, convolution, dense, activation, pooling, normalization, reshape, arithmetic, softmax
    or identity"""
    op: str
    """The ONNX operator."""
    shape: tuple[int, ...]
    """Of its output, without N."""
    parameters: int
    """How many numbers it learnt."""
    inputs: tuple[str, ...]
    """Names of the layers it reads."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Convolution and pooling: kernel, strides, pads (top, left, bottom, right), dilations; others: what
    their operator says, such as epsilon or axis."""
    value: str = ""
    """Name of its output in the ONNX graph."""


class Inspector:
    """A model's layers, their weights, and their outputs for given images."""

    def __init__(self, model: Model) -> None:
        self.model = model
        graph, shapes = model.checked.proto.graph, model.checked.shapes
        self._constants = constants_of(graph)
        self._nodes: dict[str, onnx.NodeProto] = {}
        self.layers = self._walk(graph, shapes)
        self._by_name = {layer.name: layer for layer in self.layers}
        self._session = session_of(_instrumented(model.checked.proto, self.layers[1:]).SerializeToString(), 1)

    def activations(self, images: Images, ablate: Iterable[tuple[str, int]] = ()) -> dict[str, Floats]:
        """Every layer's output [N, ...] for uint8 images [N, C, H, W].

        Each (layer, unit) of `ablate` is switched off: that channel of the layer's output becomes 0 for
        everything after it. Raises ValueError for a layer or unit that does not exist.
        """
        masks: dict[str, Floats] = {}
        for name, unit in ablate:
            layer = self._ablatable(name, unit)
            mask = masks.setdefault(MASK + layer.value, np.ones(_mask_shape(layer), np.float32))
            mask[0, unit] = 0
        layers = self.layers[1:]
        values = self._session.run([layer.value for layer in layers], {IMAGE: images, **masks})
        outputs = {layer.name: value for layer, value in zip(layers, values, strict=True)}
        return {self.layers[0].name: images.astype(np.float32), **outputs}

    def answer_of(self, activations: Mapping[str, Floats]) -> Floats:
        """The probabilities [N, classes] among the activations."""
        return next(activations[layer.name] for layer in self.layers if layer.value == PROBABILITIES)

    def weights(self, name: str) -> dict[str, Floats]:
        """A layer's weights by role: weight [out, in, …] and bias [out]; or scale, bias, mean, variance."""
        layer = self._by_name.get(name)
        if layer is None:
            raise ValueError(f"{self.model.name} has no layer {name!r}; it has {', '.join(self._by_name)}")
        node = self._nodes.get(name)
        return {} if node is None else weights_of(node, self._constants)

    def _ablatable(self, name: str, unit: int) -> Layer:
        layer = self._by_name.get(name)
        if layer is None or layer.kind == INPUT:
            known = ", ".join(layer.name for layer in self.layers[1:])
            raise ValueError(f"{self.model.name} has no layer {name!r} to switch off; it has {known}")
        units = _mask_shape(layer)[-1] if not layer.shape else layer.shape[0]
        if not 0 <= unit < units:
            raise ValueError(f"{name} has the units 0 to {units - 1}, not {unit}")
        return layer

    def _walk(self, graph: onnx.GraphProto, shapes: Shapes) -> list[Layer]:
        """The layers in order. What scales the pixels before the first layer is one layer, `normalized`."""
        steps = _towards(PROBABILITIES, [node for node in graph.node if node.op_type != "Constant"])
        scaling = _leading(steps, self._constants)
        layers = [Layer(IMAGE, INPUT, "", shapes[IMAGE], 0, (), value=IMAGE)]
        names = {IMAGE: IMAGE}
        if scaling:
            value = scaling[-1].output[0]
            names |= {node.output[0]: NORMALIZED for node in scaling}
            options = {"steps": [self._scaling_step(node) for node in scaling]}
            layers.append(Layer(NORMALIZED, NORMALIZED, "", shapes[value], 0, (IMAGE,), options, value))
        for node in steps[len(scaling) :]:
            layer = self._layer(node, shapes, names)
            names[layer.value] = layer.name
            self._nodes[layer.name] = node
            layers.append(layer)
        return layers

    def _layer(self, node: onnx.NodeProto, shapes: Shapes, names: Mapping[str, str]) -> Layer:
        value = node.output[0]
        free = node.name and node.name not in names.values()
        return Layer(
            name=node.name if free else value,
            kind=KINDS.get(node.op_type, "activation"),
            op=node.op_type,
            shape=shapes[value],
            parameters=sum(a.size for role, a in weights_of(node, self._constants).items() if role not in STATISTICS),
            inputs=tuple(names[source] for source in node.input if source in names),
            options=options_of(node, shapes, self._constants),
            value=value,
        )

    def _scaling_step(self, node: onnx.NodeProto) -> dict[str, Any]:
        constants = [self._constants[name].ravel().tolist() for name in node.input if name in self._constants]
        return {"op": node.op_type, "by": constants[0] if constants else None}


def _towards(value: str, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Those that the value comes of, in their order."""
    wanted, found = {value}, []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


def _leading(steps: list[onnx.NodeProto], constants: Mapping[str, Any]) -> list[onnx.NodeProto]:
    """The nodes at the start that only scale the pixels."""
    count = 0
    for node in steps:
        learnt = [name for name in node.input[1:] if name not in constants]
        if node.op_type not in SCALING or learnt:
            break
        count += 1
    return steps[:count]


def _mask_shape(layer: Layer) -> tuple[int, ...]:
    return (1, *layer.shape[:1], *(1 for _ in layer.shape[1:]))


def _instrumented(proto: onnx.ModelProto, layers: list[Layer]) -> onnx.ModelProto:
    """The same network with every layer as an output, each times a mask of ones that callers may override."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    graph = copy.graph
    nodes, masked = list(graph.node), {layer.value: layer for layer in layers}
    del graph.node[:], graph.output[:], graph.value_info[:]
    for node in nodes:
        layer = masked.get(node.output[0])
        if layer is None:
            graph.node.append(node)
            continue
        value, mask = layer.value, MASK + layer.value
        node.output[0] = UNMASKED + value
        graph.node.extend([node, helper.make_node("Mul", [UNMASKED + value, mask], [value])])
        graph.initializer.append(numpy_helper.from_array(np.ones(_mask_shape(layer), np.float32), mask))
        graph.input.append(helper.make_tensor_value_info(mask, onnx.TensorProto.FLOAT, _mask_shape(layer)))
        graph.output.append(helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["N", *layer.shape]))
    return copy
