"""Which test images excite a unit most: found bit by bit, so that nobody waits for thousands of them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from serve.http.samples import Samples, SamplesError, resized
from serve.inference.check import IMAGE
from serve.inference.layers import Inspector, Layer
from serve.inference.model import Floats, Model, session_of

STRONGEST = 9  # images kept for each unit
BATCH = 25  # images in one run
PEAK = "peak:"


@dataclass(frozen=True)
class Ranking:
    """The images whose largest value of a unit is largest, strongest first: both [units, at most 9]."""

    images: NDArray[np.intp]
    values: Floats

    def with_more(self, first: int, peaks: Floats) -> "Ranking":
        """Also of images numbered from `first`, whose largest values are [n, units]; equals stay in order."""
        numbers = np.broadcast_to(np.arange(first, first + len(peaks)), peaks.T.shape)
        images, values = np.hstack([self.images, numbers]), np.hstack([self.values, peaks.T])
        order = np.argsort(-values, axis=1, kind="stable")[:, :STRONGEST]
        return Ranking(np.take_along_axis(images, order, 1), np.take_along_axis(values, order, 1))

    def as_json(self) -> list[list[dict[str, Any]]]:
        return [
            [{"image": int(image), "value": float(value)} for image, value in zip(*unit, strict=True)]
            for unit in zip(self.images, self.values, strict=True)
        ]


class Search:
    """Through all test images, for every unit of every layer of one network. Belongs to one thread."""

    def __init__(self, model: Model, samples: Samples) -> None:
        self.searched, self.of = 0, len(samples.images)
        self._samples, self._size = samples, model.input_shape[-1]
        self._layers = {layer.name: layer for layer in Inspector(model).layers}
        self._session = _peaks_session(model, self._layers.values())
        self._found = {
            name: Ranking(np.empty((_units(layer), 0), np.intp), np.empty((_units(layer), 0), np.float32))
            for name, layer in self._layers.items()
        }

    def go_on(self, seconds: float) -> None:
        """Look through more images, at least a few and for about so long."""
        end = time.perf_counter() + seconds
        while self.searched < self.of:
            self._look_through(self.searched, min(self.searched + BATCH, self.of))
            if time.perf_counter() > end:
                break

    def ranking(self, layer: str) -> Ranking:
        """Among those searched so far. Raises SamplesError."""
        if layer not in self._found:
            raise SamplesError(f"there is no layer {layer[:80]!r}; there is {', '.join(self._found)}")
        return self._found[layer]

    def _look_through(self, start: int, stop: int) -> None:
        images = resized(np.asarray(self._samples.images[start:stop]), self._size)
        first, *others = self._found
        values = self._session.run([PEAK + self._layers[name].value for name in others], {IMAGE: images})
        peaks = dict(zip(others, values, strict=True)) | {first: images.max(axis=(2, 3)).astype(np.float32)}
        for name, found in peaks.items():
            self._found[name] = self._found[name].with_more(start, found.reshape(stop - start, -1))
        self.searched = stop


@lru_cache(maxsize=8)
def search_of(model: Model, samples: Samples) -> Search:
    return Search(model, samples)


def _units(layer: Layer) -> int:
    return layer.shape[0] if layer.shape else 1


def _peaks_session(model: Model, layers: Iterable[Layer]) -> ort.InferenceSession:
    """The same network with the largest value of every map as an output: a hundredth of what the maps would be."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.checked.proto)
    del proto.graph.output[:]
    for layer in layers:
        if layer.value == IMAGE:
            continue
        operator = "GlobalMaxPool" if len(layer.shape) == 3 else "Identity"
        proto.graph.node.append(helper.make_node(operator, [layer.value], [PEAK + layer.value]))
        proto.graph.output.append(helper.make_tensor_value_info(PEAK + layer.value, TensorProto.FLOAT, None))
    return session_of(proto.SerializeToString(), 1)
