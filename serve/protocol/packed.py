"""A network in one compact file, from which a page computes every layer by itself.

`CIF1`, the length of the JSON as uint32, the JSON, then the weights as raw little-endian bytes:

    {"version", "network", "classes", "shape": [C, H, W], "preparation": how pictures are made into images,
     "answer": name of the layer with the probabilities,
     "layers": [as /explain has them, "weights": {"weight": {"datatype", "shape", "offset"}}],
     "novelty": [the same for what tells whether an image looks like no class]}

Offsets are counted from the end of the JSON, and are multiples of 4, as is its length.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import orjson
from onnx import helper

from serve.inference.check import NOVELTY, PROBABILITIES
from serve.inference.graph import Constants, constants_of, options_of, weights_of
from serve.inference.layers import Layer
from serve.inference.model import Model, ModelError
from serve.pictures.prepare import preparation
from serve.protocol.answers import inspector_of

MAGIC = b"CIF1"


@lru_cache(maxsize=8)
def packed(model: Model, half: bool = False) -> bytes:
    """`half`: weights of 16 bits, for half of the bytes and answers that differ in the third digit.

    Raises ModelError for a network of 8-bit integers: its layers have no such numbers to show.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.checked.proto.graph.node):
        raise ModelError(f"{model.name} computes in 8-bit integers, which the page does not follow; ask /predict")
    inspector, tail = inspector_of(model), bytearray()

    def tensor(array: np.ndarray[Any, Any]) -> dict[str, Any]:
        small = half or bool((array.astype(np.float16, copy=False).astype(np.float32) == array).all())
        offset, data = len(tail), np.ascontiguousarray(array, "<f2" if small else "<f4")
        tail.extend(data.tobytes() + bytes(-data.nbytes % 4))
        return {"datatype": "FP16" if small else "FP32", "shape": list(array.shape), "offset": offset}

    def described(layer: Layer, weights: dict[str, Any]) -> dict[str, Any]:
        found = {name: value for name, value in vars(layer).items() if name != "value"}
        return found | {"weights": {role: tensor(array) for role, array in weights.items()}}

    head = {
        "version": model.version,
        "network": model.network,
        "classes": model.classes,
        "shape": model.input_shape,
        "preparation": dict(preparation(model)),
        "answer": next(layer.name for layer in inspector.layers if layer.value == PROBABILITIES),
        "layers": [described(layer, inspector.weights(layer.name)) for layer in inspector.layers],
        "novelty": [described(*each) for each in novelty(model, inspector.layers)],
    }
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    text += b" " * (-len(text) % 4)
    return MAGIC + len(text).to_bytes(4, "little") + text + tail


def novelty(model: Model, layers: list[Layer]) -> Iterator[tuple[Layer, dict[str, Any]]]:
    """What is computed beside the layers to tell whether an image is like none that trained the network."""
    graph, shapes = model.checked.proto.graph, model.checked.shapes
    constants = folded(graph)
    names = {layer.value: layer.name for layer in layers}
    for node in needed(graph, NOVELTY, {*names, *constants}):
        [value], inputs = node.output, [names[name] for name in node.input if name in names]
        names[value] = value
        options = options_of(node, shapes, constants)
        yield Layer(value, "", node.op_type, shapes[value], 0, tuple(inputs), options), weights_of(node, constants)


def needed(graph: onnx.GraphProto, value: str, known: set[str]) -> list[onnx.NodeProto]:
    """In their order, those that a value comes of, unless it is known already."""
    wanted, found = {value}, []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output) and known.isdisjoint(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


def folded(graph: onnx.GraphProto) -> Constants:
    """Constants, those among them that a file keeps in 16 bits and casts."""
    found = dict(constants_of(graph))
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]].astype(helper.tensor_dtype_to_np_dtype(node.attribute[0].i))
    return found
