"""The Open Inference Protocol, version 2, over HTTP: requests into images, answers into JSON or bytes.

github.com/kserve/open-inference-protocol, and Triton's extensions for binary tensors and classification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson

from serve.http.messages import BINARY, HEADER_LENGTH, Problem, Response
from serve.inference.check import IMAGE, LOGITS, PROBABILITIES
from serve.inference.limits import ANSWER_SECONDS, BATCH_IMAGES
from serve.inference.model import Answer, Floats, Images, Model

OUTPUTS = (LOGITS, PROBABILITIES)
UNSUPPORTED = ("shared_memory", "sequence_")


@dataclass(slots=True)
class Wanted:
    """One output a client asks for; `top` classes as text instead of numbers where not 0."""

    name: str
    binary: bool = False
    top: int = 0


@dataclass(slots=True)
class Call:
    images: Images
    outputs: list[Wanted]
    seconds: float
    """How long the client waits."""
    id: str | None = None


def parse(model: Model, headers: Mapping[bytes, bytes], body: bytes) -> Call:
    """Read an infer request. Raises Problem with status 400."""
    header = headers.get(HEADER_LENGTH.encode())
    if header is None:
        return _call(model, json_object(body), b"")
    size = int(header) if header.isdigit() and len(header) < 10 else -1
    if not 0 <= size <= len(body):
        raise Problem(400, f"{HEADER_LENGTH} must be a number from 0 to {len(body)}, the length of the body")
    if size == 0:
        outputs = [Wanted(name, binary=True) for name in OUTPUTS]
        return Call(_from_bytes(body, [1, *model.input_shape], model), outputs, ANSWER_SECONDS)
    return _call(model, json_object(body[:size]), body[size:])


def json_object(text: bytes) -> dict[str, Any]:
    """Raises Problem with status 400. NaN, Infinity and more than 1,024 levels are refused by orjson."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"not valid JSON: {error}"[:300]) from error
    if not isinstance(value, dict):
        raise Problem(400, "the request must be a JSON object")
    return value


def check_load(body: bytes) -> None:
    """A model is loaded from its file as it is. Raises Problem where the client sends another, or settings for it."""
    parameters = json_object(body).get("parameters", {}) if body else {}
    if not isinstance(parameters, dict):
        raise Problem(400, "'parameters' must be a JSON object")
    for name in parameters:
        if name == "config" or name.startswith("file:"):
            raise Problem(400, f"{name[:40]!r} is not supported: a model is loaded from its file in the repository")


def _call(model: Model, head: dict[str, Any], tail: bytes) -> Call:
    parameters = _parameters(head)
    identity = head.get("id")
    if identity is not None and not isinstance(identity, str):
        raise Problem(400, "'id' must be text")
    return Call(
        images=_images(model, head.get("inputs"), tail),
        outputs=_outputs(head.get("outputs"), parameters.get("binary_data_output", False)),
        seconds=_seconds(parameters.get("timeout", 0)),
        id=identity,
    )


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Problem(400, "'parameters' must be a JSON object")
    for name in parameters:
        if name.startswith(UNSUPPORTED):
            raise Problem(400, f"{name[:40]!r} is not supported: this server has no shared memory and no sequences")
    return parameters


def _seconds(timeout: object) -> float:
    if type(timeout) is not int or timeout < 0:
        raise Problem(400, "'timeout' must be a number of microseconds")
    return min(timeout / 1e6, ANSWER_SECONDS) if timeout else ANSWER_SECONDS


def _images(model: Model, inputs: object, tail: bytes) -> Images:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Problem(400, f"'inputs' must be a list of one tensor, {IMAGE!r}")
    tensor = inputs[0]
    if tensor.get("name") != IMAGE:
        raise Problem(400, f"unknown input {str(tensor.get('name'))[:80]!r}; {model.name} takes {IMAGE!r}")
    if tensor.get("datatype") != "UINT8":
        raise Problem(400, f"{IMAGE!r} must be UINT8 (0 to 255), not {str(tensor.get('datatype'))[:20]}")
    shape = _shape(tensor.get("shape"), model)
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if tail:
            raise Problem(400, f"{len(tail)} bytes follow the JSON, but no input has 'binary_data_size'")
        return _from_json(tensor.get("data"), shape)
    if type(size) is not int or size != len(tail):
        raise Problem(400, f"'binary_data_size' must be {len(tail)}, the number of bytes after the JSON")
    return _from_bytes(tail, shape, model)


def _shape(shape: object, model: Model) -> list[int]:
    wanted = list(model.input_shape)
    if not isinstance(shape, list) or [type(side) for side in shape] != [int] * 4 or shape[1:] != wanted:
        raise Problem(400, f"{IMAGE!r} must have the shape {['N', *wanted]}, not {str(shape)[:80]}")
    if not 1 <= shape[0] <= BATCH_IMAGES:
        raise Problem(400, f"a request takes 1 to {BATCH_IMAGES} images, not {shape[0]}"[:100])
    return shape


def _from_bytes(data: bytes, shape: list[int], model: Model) -> Images:
    size = shape[0] * shape[1] * shape[2] * shape[3]
    if len(data) != size:
        raise Problem(400, f"{IMAGE!r} of shape {shape} takes {size} bytes, not {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _from_json(data: object, shape: list[int]) -> Images:
    """Nested or flat lists of whole numbers; `bytearray` takes no others."""
    is_flat = isinstance(data, list) and bool(data) and not isinstance(data[0], list)
    try:
        pixels = bytearray(_flattened(data, [prod(shape)] if is_flat else shape, shape))
    except (TypeError, ValueError) as error:
        raise Problem(400, "'data' must hold whole numbers from 0 to 255") from error
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def _flattened(data: object, sides: list[int], shape: list[int]) -> list[Any]:
    items: list[Any] = [data]
    for side in sides:
        rows, items = items, []
        for row in rows:
            if type(row) is not list or len(row) != side:
                raise Problem(400, f"'data' does not have the shape {shape}, neither nested nor flat")
            items += row
    return items


def _outputs(outputs: object, binary: object) -> list[Wanted]:
    if not isinstance(binary, bool):
        raise Problem(400, "'binary_data_output' must be true or false")
    if outputs is None or outputs == []:
        return [Wanted(name, binary) for name in OUTPUTS]
    if not isinstance(outputs, list) or len(outputs) > len(OUTPUTS):
        raise Problem(400, f"'outputs' must be a list of some of {', '.join(OUTPUTS)}")
    wanted = [_output(output, binary) for output in outputs]
    if len({output.name for output in wanted}) < len(wanted):
        raise Problem(400, "an output is asked for twice")
    return wanted


def _output(output: object, binary: bool) -> Wanted:
    if not isinstance(output, dict) or output.get("name") not in OUTPUTS:
        raise Problem(400, f"unknown output; there are {', '.join(OUTPUTS)}")
    parameters = _parameters(output)
    wanted = Wanted(output["name"], parameters.get("binary_data", binary), parameters.get("classification", 0))
    if type(wanted.binary) is not bool or type(wanted.top) is not int or wanted.top < 0:
        raise Problem(400, "'binary_data' must be true or false, 'classification' a number of classes")
    return wanted


def encode(model: Model, call: Call, answer: Answer) -> Response:
    """The answer as JSON, or as JSON followed by the tensors' bytes."""
    head: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if call.id is not None:
        head["id"] = call.id
    tails: list[bytes] = []
    head["outputs"] = [_tensor(model, wanted, answer, tails) for wanted in call.outputs]
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tails:
        return Response(text)
    return Response(b"".join([text, *tails]), BINARY, headers={HEADER_LENGTH: str(len(text))})


def _tensor(model: Model, wanted: Wanted, answer: Answer, tails: list[bytes]) -> dict[str, Any]:
    """The tensor as the JSON names it; its bytes, if it is to be binary, go to the end of `tails`."""
    values = answer.logits if wanted.name == LOGITS else answer.probabilities
    if wanted.top:
        return _classification(model, wanted, values, tails)
    tensor: dict[str, Any] = {"name": wanted.name, "datatype": "FP32", "shape": values.shape}
    if wanted.binary:
        tails.append(values.tobytes())
        tensor["parameters"] = {"binary_data_size": values.nbytes}
    else:
        tensor["data"] = values.ravel()
    return tensor


def _classification(model: Model, wanted: Wanted, values: Floats, tails: list[bytes]) -> dict[str, Any]:
    """The `top` classes of each image as text, `value:index:label`, the most likely first."""
    best = np.argsort(-values, axis=1, kind="stable")[:, : wanted.top]
    texts = [f"{values[row, index]:f}:{index}:{model.classes[index]}" for row, top in enumerate(best) for index in top]
    tensor: dict[str, Any] = {"name": wanted.name, "datatype": "BYTES", "shape": best.shape}
    if wanted.binary:
        tail = b"".join(len(text).to_bytes(4, "little") + text for text in map(str.encode, texts))
        tails.append(tail)
        tensor["parameters"] = {"binary_data_size": len(tail)}
    else:
        tensor["data"] = texts
    return tensor
