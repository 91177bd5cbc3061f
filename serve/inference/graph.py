"""How ONNX writes down what a layer does: its constants, weights and options, in one plain form."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from serve.inference.check import Shapes

Constants = Mapping[str, NDArray[Any]]

DENSE = frozenset({"Gemm", "MatMul"})
WINDOWED = frozenset({"Conv", "MaxPool", "AveragePool"})
WITHOUT_WEIGHTS = frozenset({"Reshape", "Clip", "Squeeze", "ReduceMean"})  # their constants are options
SCALING = frozenset({"Div", "Sub", "Mul", "Add"})  # by one number it is a step, no weight
ROLES = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "BatchNormalization": ("scale", "bias", "mean", "variance"),
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "BatchNormalization": {"epsilon": 1e-5},
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
}


def constants_of(graph: onnx.GraphProto) -> Constants:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute:
            value = helper.get_attribute_value(node.attribute[0])
            is_tensor = isinstance(value, onnx.TensorProto)
            found[node.output[0]] = numpy_helper.to_array(value) if is_tensor else np.asarray(value)
    return found


def weights_of(node: onnx.NodeProto, known: Constants) -> dict[str, NDArray[np.float32]]:
    """A node's weights by role."""
    if node.op_type in WITHOUT_WEIGHTS:
        return {}
    arrays = [known[name].astype(np.float32) for name in node.input if name in known]
    if node.op_type in SCALING and all(array.size == 1 for array in arrays):
        return {}
    found = dict(zip(ROLES.get(node.op_type, ("weight",)), arrays, strict=False))
    return _dense(node, found) if node.op_type in DENSE else found


def _dense(node: onnx.NodeProto, found: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Weights as [out, in] and factors multiplied in, whatever the Gemm says of transposing and alpha."""
    attributes = _attributes(node)
    if "weight" in found:
        weight = found["weight"] if attributes.get("transB", 0) else found["weight"].T
        found["weight"] = np.ascontiguousarray(weight * np.float32(attributes.get("alpha", 1)))
    if "bias" in found:
        found["bias"] = found["bias"] * np.float32(attributes.get("beta", 1))
    return found


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def options_of(node: onnx.NodeProto, shapes: Shapes, known: Constants) -> dict[str, Any]:
    attributes = _attributes(node)
    if node.op_type in DENSE:
        return {}  # `weights_of` has them worked in
    by = [known[name].item() for name in node.input if name in known and known[name].size == 1]
    if node.op_type in SCALING and by:
        return {"steps": [{"op": node.op_type, "by": by}]}
    if node.op_type not in WINDOWED:
        attributes = DEFAULTS.get(node.op_type, {}) | attributes
        return {name: value for name, value in attributes.items() if isinstance(value, int | float | list)}
    kernel = list(attributes.get("kernel_shape") or known[node.input[1]].shape[2:])
    found = {
        "kernel": kernel,
        "strides": list(attributes.get("strides") or [1] * len(kernel)),
        "dilations": list(attributes.get("dilations") or [1] * len(kernel)),
        "pads": list(attributes.get("pads") or [0] * 2 * len(kernel)),
    }
    if attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        sizes = shapes[node.input[0]][1:], shapes[node.output[0]][1:]
        found["pads"] = _same_pads(*sizes, found, attributes["auto_pad"] == "SAME_LOWER")
    others = {"group", "ceil_mode", "count_include_pad"} & attributes.keys()
    return found | {name: attributes[name] for name in sorted(others)}


def _same_pads(source: tuple[int, ...], target: tuple[int, ...], options: dict[str, Any], lower: bool) -> list[int]:
    windows = zip(source, target, options["kernel"], options["strides"], options["dilations"], strict=True)
    totals = [max((out - 1) * stride + (size - 1) * step + 1 - have, 0) for have, out, size, stride, step in windows]
    halves, rests = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return rests + halves if lower else halves + rests
