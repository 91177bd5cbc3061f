"""Answers of /predict and /explain.

POST /predict takes a PNG or JPEG as the body, several as multipart/form-data, or JSON, and answers

    {"model": "champion", "version": "0a1b2c3d4e5f", "network": "lenet_28",
     "predictions": [{"name": "seven.png", "label": "7", "index": 7, "confidence": 0.98, "doubt": false,
                      "probabilities": {"0": 0.001, …, "9": 0.002}}]}

POST /explain takes one image the same way and answers with everything between its pixels and its label:

    {"model", "version", "network", "classes", "label", "index", "confidence", "doubt", "probabilities": [10 numbers],
     "image": TENSOR,                      # uint8 [C, H, W], as the network saw it
     "layers": [{"name": "conv1",
                 "kind": "convolution",    # input, normalized, convolution, dense, activation, pooling,
                                           # normalization, reshape, arithmetic, softmax, identity
                 "op": "Conv",             # the ONNX operator
                 "shape": [6, 24, 24],
                 "parameters": 156,
                 "inputs": ["normalized"], # names of the layers it reads
                 "options": {"kernel": [5, 5], "strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1]},
                 "output": TENSOR,         # float32, of `shape`
                 "weights": {"weight": TENSOR, "bias": TENSOR},
                 "ablated": []}]}          # units switched off

So each number of a convolution is sum(weight[unit] × patch of the input) + bias[unit], the input being padded
by pads (top, left, bottom, right); of a dense layer weight[unit] · input + bias[unit], weights being [out, in].

In JSON a TENSOR is {"datatype", "shape", "data": [flat numbers]}. With `Accept: application/octet-stream` the
answer is that JSON, `Inference-Header-Content-Length` bytes of it, and then raw little-endian bytes; a TENSOR
is {"datatype", "shape", "offset", "bytes"}, the offset counted from the end of the JSON. The JSON's length and
the offsets are multiples of 4, so `new Float32Array(buffer, length + offset, bytes / 4)` just works.

Options, in the query or in the JSON: `model` (default: champion, or the only one), `weights` (false leaves them
out: they change with the version only), `layers` (["conv1", "pool1"], in the query `conv1,pool1`: the answer
holds only these), `ablate` ([{"layer": "conv1", "unit": 3}], in the query `conv1:3,conv2:0`): the unit's output
becomes 0 for all that follows.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serve.http.messages import BINARY, HEADER_LENGTH, Problem, Response, to_json
from serve.inference.layers import Inspector, Layer
from serve.inference.limits import ABLATIONS
from serve.inference.model import Model
from serve.protocol.uploads import Upload, images_of


def predict(model: Model, upload: Upload) -> Response:
    images = images_of(upload, model, checked=True)
    answer = model.predict(images)
    names = [name for name, _ in upload.items] if len(upload.items) == len(images) else [""] * len(images)
    predictions = [
        {
            "name": name,
            **_verdict(model, row, doubt),
            "probabilities": dict(zip(model.classes, row.tolist(), strict=True)),
        }
        for name, row, doubt in zip(names, answer.probabilities, answer.doubts, strict=True)
    ]
    return to_json({**_identity(model), "predictions": predictions})


def explain(model: Model, upload: Upload, accept: str) -> Response:
    images = images_of(upload, model)
    if len(images) != 1:
        raise Problem(400, f"one image is explained at a time, not {len(images)}")
    inspector = inspector_of(model)
    ablated = _ablations(upload.options.get("ablate", []))
    shown = _shown(inspector, upload.options.get("layers"))
    try:
        outputs = inspector.activations(images, ablated)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    answer = model.predict(images)
    probabilities = inspector.answer_of(outputs)[0] if ablated else answer.probabilities[0]
    tensors = _Tensors(binary=BINARY in accept)
    with_weights = upload.options.get("weights", True) not in (False, "false", "0")
    layers = [
        vars(layer)
        | {
            "output": tensors.add(outputs[layer.name][0]),
            "weights": {role: tensors.add(array) for role, array in inspector.weights(layer.name).items()}
            if with_weights
            else {},
            "ablated": [unit for name, unit in ablated if name == layer.name],
        }
        for layer in shown
    ]
    head = {**_identity(model), "classes": model.classes, **_verdict(model, probabilities, *answer.doubts)}
    head |= {"probabilities": probabilities, "image": tensors.add(images[0]), "layers": layers}
    return tensors.response(head)


def _identity(model: Model) -> dict[str, Any]:
    return {"model": model.name, "version": model.version, "network": model.network}


def _verdict(model: Model, probabilities: NDArray[np.float32], doubt: bool | None) -> dict[str, Any]:
    index = int(probabilities.argmax())
    return {"label": model.classes[index], "index": index, "confidence": float(probabilities[index]), "doubt": doubt}


@lru_cache(maxsize=8)
def inspector_of(model: Model) -> Inspector:
    return Inspector(model)


def _shown(inspector: Inspector, wanted: object) -> list[Layer]:
    """Those of `["conv1", "pool1"]`, or `conv1,pool1` as in a query; all for None. Raises Problem."""
    if wanted is None:
        return inspector.layers
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    known = {layer.name: layer for layer in inspector.layers}
    if not isinstance(names, list) or not all(isinstance(name, str) and name in known for name in names):
        raise Problem(400, f"'layers' is a list of some of {', '.join(known)}"[:300])
    return [layer for layer in inspector.layers if layer.name in names]


def _ablations(wanted: object) -> list[tuple[str, int]]:
    """From `[{"layer": "conv1", "unit": 3}]`, or `conv1:3` as in a query. Raises Problem."""
    if isinstance(wanted, str):
        pairs = (item.rpartition(":") for item in wanted.split(",") if item)
        wanted = [{"layer": layer, "unit": int(unit) if unit.isdecimal() else -1} for layer, _, unit in pairs]
    if not isinstance(wanted, list) or len(wanted) > ABLATIONS:
        raise Problem(400, f"'ablate' is a list of at most {ABLATIONS} units")
    for item in wanted:
        if not isinstance(item, dict) or not isinstance(item.get("layer"), str) or type(item.get("unit")) is not int:
            raise Problem(400, '\'ablate\' is a list such as [{"layer": "conv1", "unit": 3}]')
    return [(item["layer"], item["unit"]) for item in wanted]


class _Tensors:
    """Arrays on their way out: in the JSON, or as bytes after it."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self._tail = bytearray()

    def add(self, array: NDArray[Any]) -> dict[str, Any]:
        tensor = {"datatype": "UINT8" if array.dtype == np.uint8 else "FP32", "shape": list(array.shape)}
        if not self._binary:
            return {**tensor, "data": array.ravel()}
        offset = len(self._tail)
        self._tail += array.tobytes() + bytes(-array.nbytes % 4)
        return {**tensor, "offset": offset, "bytes": array.nbytes}

    def response(self, head: dict[str, Any]) -> Response:
        if not self._binary:
            return to_json(head)
        text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
        text += b" " * (-len(text) % 4)
        return Response(text + self._tail, BINARY, headers={HEADER_LENGTH: str(len(text))})
