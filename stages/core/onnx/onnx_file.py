"""From a trained network to one ONNX file that says what it is and takes images as people have them.

One layer is one node of the same name, so that whoever opens the file finds the network that was drawn. It is
written here and not by torch.onnx, which needs some four seconds more for each network and whose names, and paths
of this machine, had to be undone; `export` holds every file against torch in any case.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from stages.core.cli import files
from stages.core.cli.errors import UserError
from stages.core.networks.modules import Norm
from stages.core.networks.networks import Network, Shape
from stages.core.onnx.novelty import Novelty, quarters

OPSET, IR_VERSION = 13, 8  # the oldest that the graph needs: any onnxruntime since 2021 reads it
NORMALIZED, LOGITS, CALIBRATED, PROBABILITIES = "normalized", "logits", "calibrated", "probabilities"
NOVELTY = "novelty"

Attributes = dict[str, Any]
Weights = dict[str, NDArray[np.floating[Any]]]


def window(layer: Any) -> Attributes:
    """What convolution and pooling have in common; torch gives one number or one for each direction."""
    kernel, stride, padding, dilation = (
        [value, value] if isinstance(value, int) else list(value)
        for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    )
    return {"kernel_shape": kernel, "strides": stride, "pads": padding * 2, "dilations": dilation}


OPERATORS: dict[type[nn.Module], tuple[str, Callable[[Any], Attributes]]] = {
    nn.Conv2d: ("Conv", lambda layer: {**window(layer), "group": layer.groups}),
    nn.Linear: ("Gemm", lambda layer: {"transB": 1}),
    nn.MaxPool2d: ("MaxPool", lambda layer: {**window(layer), "ceil_mode": int(layer.ceil_mode)}),
    nn.Flatten: ("Flatten", lambda layer: {"axis": layer.start_dim}),
    nn.ReLU: ("Relu", lambda layer: {}),
    nn.Sigmoid: ("Sigmoid", lambda layer: {}),
    nn.LogSoftmax: ("LogSoftmax", lambda layer: {"axis": layer.dim}),
}


def to_onnx(network: Network, temperature: float = 1.0, novelty: Novelty | None = None) -> onnx.ModelProto:
    """The network between its two ends: pixels scaled to [0, 1] before it, calibrated softmax after it."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], "pixels", to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "white"], [NORMALIZED], NORMALIZED),
    ]
    weights: Weights = {"white": np.array(255, np.float32)}
    for name, layer, values in inference_layers(network):
        own = {f"{name}.{role}": value.detach().cpu().numpy() for role, value in values.items()}
        nodes.append(node(name, layer, [nodes[-1].output[0], *own]))
        weights |= own
    nodes[-1].output[0] = LOGITS
    if temperature != 1:
        weights["temperature"] = np.array(temperature, np.float32)
        nodes.append(helper.make_node("Div", [LOGITS, "temperature"], [CALIBRATED], CALIBRATED))
    nodes.append(helper.make_node("Softmax", [nodes[-1].output[0]], [PROBABILITIES], PROBABILITIES, axis=1))
    classes = network.output_shape()[0]
    outputs = {LOGITS: classes, PROBABILITIES: classes}
    if novelty:
        nodes.extend(novelty_nodes(novelty))
        weights |= novelty_weights(novelty)
        outputs[NOVELTY] = 1
    return assemble(nodes, weights, network.shape, outputs)


def novelty_nodes(novelty: Novelty) -> Iterator[NodeProto]:
    """Apart from the network: what reads the probabilities needs none of it."""

    def step(operator: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(operator, inputs, [output], output, **attributes)

    seen = novelty.layer
    if len(novelty.shape) == 3:
        kernel, strides = quarters(*novelty.shape[1:])
        yield step("AveragePool", [seen], "novelty.quarters", kernel_shape=kernel, strides=strides)
        seen = "novelty.quarters"
    yield step("Flatten", [seen], "novelty.row")
    yield step("Concat", ["novelty.row", LOGITS], "novelty.features", axis=1)
    yield step("Cast", ["novelty.half"], "novelty.whitening", to=TensorProto.FLOAT)  # half of the bytes
    yield step("MatMul", ["novelty.features", "novelty.whitening"], "novelty.turned")
    yield step("Add", ["novelty.turned", "novelty.centre"], "novelty.whitened")
    yield step("ReduceSumSquare", ["novelty.whitened"], "novelty.length", axes=[1])
    yield step("MatMul", ["novelty.whitened", "novelty.classes"], "novelty.towards")
    yield step("Add", ["novelty.towards", "novelty.offsets"], "novelty.nearness")
    yield step("ReduceMin", ["novelty.nearness"], "novelty.nearest", axes=[1])
    yield step("Add", ["novelty.length", "novelty.nearest"], "novelty.distance")
    yield step("Div", ["novelty.distance", "novelty.limit"], NOVELTY)


def novelty_weights(novelty: Novelty) -> Weights:
    parts = {name: np.asarray(getattr(novelty, name), np.float32) for name in ("centre", "classes", "offsets", "limit")}
    return {f"novelty.{name}": value for name, value in parts.items()} | {"novelty.half": novelty.whitening}


def inference_layers(network: Network) -> Iterator[tuple[str, nn.Module, dict[str, Tensor]]]:
    """Name, layer and weights of what is left after training: no dropout, no norm but inside its convolution."""
    layers = list(network.named_children())
    for place, (name, layer) in enumerate(layers):
        if isinstance(layer, nn.Dropout | Norm):
            continue
        following = (later for _, later in layers[place + 1 :] if not isinstance(later, nn.MaxPool2d))
        norm = next(following, None)
        if isinstance(layer, nn.Conv2d) and isinstance(norm, Norm):
            yield name, layer, folded(layer, norm)
        else:
            yield name, layer, dict(layer.named_parameters())


def folded(conv: nn.Conv2d, norm: Norm) -> dict[str, Tensor]:
    """Weights with which the convolution alone answers as with the norm, which stands after it or after its pooling."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = (variance + norm.eps).rsqrt()
    bias = norm.bias - mean * scale
    return {
        "weight": conv.weight * scale.view(-1, 1, 1, 1),
        "bias": bias if conv.bias is None else bias + conv.bias * scale,
    }


def node(name: str, layer: nn.Module, inputs: list[str]) -> NodeProto:
    kind = next((kind for kind in type(layer).mro() if kind in OPERATORS), None)
    if kind is None:
        raise UserError(
            f"layer {name} is a {type(layer).__name__}, for which no ONNX operator is named: "
            "add it to OPERATORS in stages/core/onnx/onnx_file.py"
        )
    operator, attributes = OPERATORS[kind]
    return helper.make_node(operator, inputs, [name], name, **attributes(layer))


def assemble(nodes: list[NodeProto], weights: Weights, shape: Shape, outputs: dict[str, int]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "cifra",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]) for name, size in outputs.items()],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="cifra")
    onnx.checker.check_model(proto, full_check=True)
    return proto


def describe(proto: onnx.ModelProto, metadata: dict[str, Any]) -> None:
    """Metadata under `cifra.`; lists and objects as JSON."""
    texts = {
        f"cifra.{key}": value if isinstance(value, str) else files.json_bytes(value).decode()
        for key, value in metadata.items()
    }
    helper.set_model_props(proto, texts)
