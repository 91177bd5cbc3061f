"""What an ONNX file must be before anything runs it: small, plain, self-contained, of one known signature.

An ONNX file is close to code: 93 bytes can ask for gigabytes. So the graph is held against an allow-list
and the size of every value is worked out before a session is made of it.
"""

from math import prod
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto

from serve.inference.limits import MODEL_BYTES, MODEL_NODES, MODEL_OPERATIONS, MODEL_VALUE_ELEMENTS

IMAGE, LOGITS, PROBABILITIES = "image", "logits", "probabilities"
# NOVELTY, which a file may leave out: of each image, above 1 where it looks like none of the classes.
NOVELTY = "novelty"
# fmt: off
OPERATORS = frozenset({
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv", "DequantizeLinear", "Div",
    "Dropout", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish",
    "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "Mul", "PRelu", "QuantizeLinear", "ReduceMean",
    "ReduceMin", "ReduceSumSquare", "Relu", "Reshape", "Selu", "Sigmoid", "Softmax", "Softplus", "Squeeze", "Sub",
    "Tanh",
})
# fmt: on
Shapes = dict[str, tuple[int, ...]]


class ModelError(ValueError):
    """A model file that will not be served; the message is one line that says why."""


class Checked(NamedTuple):
    """A parsed file that passed, and the shape of each of its values for one image (without N)."""

    proto: onnx.ModelProto
    shapes: Shapes


def check(data: bytes) -> Checked:
    """Parse and check the bytes of an ONNX file. Raises ModelError."""
    if len(data) > MODEL_BYTES:
        raise ModelError(f"larger than {MODEL_BYTES} bytes")
    proto = _parse(data)
    _check_header(proto)
    _check_tensors(proto.graph)
    for node in proto.graph.node:
        _check_node(node)
    _check_signature(proto.graph)
    shapes = _shapes_of_one_image(proto)
    _check_cost(proto.graph, shapes)
    return Checked(proto, shapes)


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise ModelError("not an ONNX file") from error
    if not proto.graph.node:
        raise ModelError("not an ONNX file, or one without any operator")
    return proto


def _check_header(proto: onnx.ModelProto) -> None:
    if proto.functions or proto.training_info:
        raise ModelError("contains functions or training information; only plain operators are served")
    domains = {opset.domain for opset in proto.opset_import} - {"", "ai.onnx"}
    if domains:
        raise ModelError(f"uses operators of the domain {min(domains)!r}; only the ONNX ones are served")
    if len(proto.graph.node) > MODEL_NODES:
        raise ModelError(f"has {len(proto.graph.node)} operators; at most {MODEL_NODES} are served")


def _check_tensors(graph: onnx.GraphProto) -> None:
    if graph.sparse_initializer:
        raise ModelError("has sparse weights; export it with dense ones")
    attributes = (attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t"))
    for tensor in (*graph.initializer, *attributes):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(f"keeps {tensor.name!r} in another file; export it as a single file")


def _check_node(node: onnx.NodeProto) -> None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        raise ModelError(f"uses the operator {node.op_type!r}, which is not on the list of those served")
    plain = {AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR}
    plain |= {AttributeProto.FLOATS, AttributeProto.INTS}
    if any(attribute.type not in plain or attribute.ref_attr_name for attribute in node.attribute):
        raise ModelError(f"operator {node.name or node.op_type!r} has an attribute that is not a plain value")


def _check_signature(graph: onnx.GraphProto) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if [value.name for value in inputs] != [IMAGE]:
        raise ModelError(f"must have the one input {IMAGE!r}, has {[value.name for value in inputs]}")
    if [value.name for value in graph.output] not in ([LOGITS, PROBABILITIES], [LOGITS, PROBABILITIES, NOVELTY]):
        raise ModelError(f"must have the outputs {LOGITS!r} and {PROBABILITIES!r}, and may have {NOVELTY!r}")
    _check_type(inputs[0], TensorProto.UINT8, rank=4)
    if any(dim.dim_value < 1 for dim in inputs[0].type.tensor_type.shape.dim[1:]):
        raise ModelError(f"{IMAGE!r} must have fixed channels, height and width")
    for value in graph.output:
        _check_type(value, TensorProto.FLOAT, rank=2)


def _check_type(value: onnx.ValueInfoProto, element: int, rank: int) -> None:
    tensor = value.type.tensor_type
    wanted = f"{TensorProto.DataType.Name(element)} with {rank} dimensions"
    if tensor.elem_type != element or len(tensor.shape.dim) != rank:
        raise ModelError(f"{value.name!r} must be {wanted}")
    if tensor.shape.dim[0].HasField("dim_value"):
        raise ModelError(f"{value.name!r} must leave the number of images open")


def _shapes_of_one_image(proto: onnx.ModelProto) -> Shapes:
    try:
        onnx.checker.check_model(proto)
        single = _for_one_image(proto)
        graph = onnx.shape_inference.infer_shapes(single, check_type=True, strict_mode=True, data_prop=True).graph
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,
        RuntimeError,
    ) as error:
        raise ModelError(f"is not valid ONNX: {_first_line(error)}") from error
    shapes = {value.name: _dims(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    return {name: dims[1:] for name, dims in shapes.items()}


def _for_one_image(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with N = 1 and nothing but the input's shape taken on trust."""
    single = onnx.ModelProto()
    single.CopyFrom(proto)
    del single.graph.value_info[:]
    for value in single.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in single.graph.input:
        if value.name == IMAGE:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    return single


def _dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    dims = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    if any(dim < 1 for dim in dims):
        raise ModelError(f"the shape of {value.name!r} cannot be told in advance")
    return dims


def _check_cost(graph: onnx.GraphProto, shapes: Shapes) -> None:
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        missing = [name for name in node.output[:1] if name not in shapes]
        if missing:
            raise ModelError(f"the shape of {missing[0]!r} cannot be told in advance")
        size = prod(shapes[node.output[0]])
        if size > MODEL_VALUE_ELEMENTS:
            raise ModelError(f"{node.output[0]!r} has {size} values per image; at most {MODEL_VALUE_ELEMENTS}")
        total += size * _operations_per_element(node, weights, shapes)
    if total > MODEL_OPERATIONS:
        raise ModelError(f"needs {total:.1e} operations per image; at most {MODEL_OPERATIONS:.1e} are served")
    if prod(shapes[LOGITS]) < 2 or shapes[LOGITS] != shapes[PROBABILITIES]:
        raise ModelError(f"{LOGITS!r} and {PROBABILITIES!r} must have one value per class")
    if shapes.get(NOVELTY, (1,)) != (1,):
        raise ModelError(f"{NOVELTY!r} must have one value per image")


def _operations_per_element(node: onnx.NodeProto, weights: Shapes, shapes: Shapes) -> int:
    if node.op_type == "Conv":
        name = node.input[
            1
        ]  # of int8 weights, which are computed, the shape is among those without the first dimension
        return prod(weights[name][1:] if name in weights else shapes.get(name, ()))
    if node.op_type in ("Gemm", "MatMul"):
        return max(shapes.get(node.input[0], (1,)), default=1)
    kernel = [attribute.ints for attribute in node.attribute if attribute.name == "kernel_shape"]
    return prod(kernel[0]) if kernel else 1


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
