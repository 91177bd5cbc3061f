"""One ONNX file, checked, loaded and warmed: the only way to an answer, here and in the stages."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import onnx
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it when imported

import onnxruntime as ort

from serve.inference.check import IMAGE, LOGITS, Checked, ModelError, check
from serve.inference.limits import MODEL_BYTES

__all__ = ["Answer", "Model", "ModelError", "session_of"]

Images = NDArray[np.uint8]  # [N, C, H, W]
Floats = NDArray[np.float32]

METADATA_PREFIX = "cifra."
WARM_UP_BATCHES = (2, 3, 4, 8, 17, 64)  # images


class Answer(NamedTuple):
    """What a network says of N images."""

    logits: Floats
    """[N, classes]"""
    probabilities: Floats
    """[N, classes]"""
    novelty: Floats
    """[N, 1], above 1 where an image looks like none of the classes; [N, 0] of a file that cannot tell."""

    @property
    def doubts(self) -> list[bool | None]:
        """Whether each image looks like none of the classes; None where the file cannot tell."""
        return [bool(row[0] > 1) if len(row) else None for row in self.novelty]


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to answer. Thread-safe: ONNX Runtime sessions hold no state and release the GIL."""

    path: Path
    name: str
    network: str
    sha256: str
    version: str
    metadata: Mapping[str, Any]
    classes: list[str]
    input_shape: tuple[int, int, int]
    checked: Checked = field(repr=False)
    session: ort.InferenceSession = field(repr=False)
    batches: bool
    """Whether an image's answer has the same bytes alone and in a batch; where not, images run one by one."""
    seconds: float
    """What one image took at warm-up."""

    @classmethod
    def load(cls, path: Path | str, *, threads: int = 1) -> Self:
        """Check, load and warm up one file. Raises ModelError."""
        path = Path(path)
        data = _read(path)
        try:
            return cls._from_bytes(path, data, threads)
        except ModelError as error:
            raise ModelError(f"{path.name}: {error}") from error

    @classmethod
    def _from_bytes(cls, path: Path, data: bytes, threads: int) -> Self:
        sha256 = hashlib.sha256(data).hexdigest()
        checked = check(data)
        metadata = _metadata(checked.proto)
        session = session_of(data, threads)
        channels, height, width = checked.shapes[IMAGE]
        batches, seconds = _warm_up(session, (channels, height, width), checked.shapes[LOGITS][0])
        return cls(
            path=path,
            name=path.stem,
            network=str(metadata.get("network", path.stem)),
            sha256=sha256,
            version=sha256[:12],
            metadata=metadata,
            classes=_classes(metadata, checked.shapes[LOGITS][0]),
            input_shape=(channels, height, width),
            checked=checked,
            session=session,
            batches=batches,
            seconds=seconds,
        )

    def predict(self, images: Images) -> Answer:
        """Answer for uint8 images [N, C, H, W], light ink on dark."""
        if images.dtype != np.uint8 or images.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, self.input_shape))
            raise ValueError(f"{self.name} takes uint8 [N, {wanted}], not {images.dtype} {list(images.shape)}")
        if self.batches or len(images) == 1:
            return _run(self.session, images)
        return _one_by_one(self.session, images)


def session_of(data: bytes, threads: int) -> ort.InferenceSession:
    """A CPU session on the bytes of an ONNX file. Raises ModelError."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised; ONNX Runtime need not print it as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise ModelError(f"ONNX Runtime refuses it: {str(error).splitlines()[0][:200]}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MODEL_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def _metadata(proto: onnx.ModelProto) -> dict[str, Any]:
    found = {}
    for entry in proto.metadata_props:
        if entry.key.startswith(METADATA_PREFIX):
            found[entry.key.removeprefix(METADATA_PREFIX)] = _json_or_text(entry.value)
    return found


def _json_or_text(text: str) -> Any:
    """Objects and lists are JSON; everything else stays text, so that a hash of digits stays a hash."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _classes(metadata: Mapping[str, Any], count: int) -> list[str]:
    classes = metadata.get("classes", [str(index) for index in range(count)])
    if not isinstance(classes, list) or len(classes) != count:
        raise ModelError(f"has {count} outputs but its metadata name the classes {classes!r}"[:300])
    return [str(name) for name in classes]


def _warm_up(session: ort.InferenceSession, shape: tuple[int, int, int], classes: int) -> tuple[bool, float]:
    """Run a few images; tell whether alone and together give the same bytes, and how long one takes."""
    images = np.random.default_rng(0).integers(0, 256, (max(WARM_UP_BATCHES), *shape), dtype=np.uint8)
    images[0], images[1] = 0, 255
    try:
        started = time.perf_counter()
        alone = _one_by_one(session, images)
        seconds = (time.perf_counter() - started) / len(images)
        together = [_run(session, images[:count]) for count in WARM_UP_BATCHES]
    except Exception as error:  # its exceptions share no base class
        raise ModelError(f"fails on a first image: {str(error).splitlines()[0][:200]}") from error
    if alone.logits.shape != (len(images), classes) or alone.probabilities.shape != (len(images), classes):
        raise ModelError("does not answer with one row per image")
    if not (np.isfinite(alone.logits).all() and np.isfinite(alone.probabilities).all()):
        raise ModelError("answers a first image with NaN or infinity")
    if not np.allclose(alone.probabilities.sum(axis=1), 1, atol=1e-3):
        raise ModelError("answers with probabilities that do not add up to 1")
    same = all(_same(answer, alone, count) for answer, count in zip(together, WARM_UP_BATCHES, strict=True))
    return same, seconds


def _same(answer: Answer, alone: Answer, count: int) -> bool:
    """Novelty is only held against 1: its last bits may differ in a batch."""
    return all(a.tobytes() == b[:count].tobytes() for a, b in zip(answer[:2], alone[:2], strict=True))


def _one_by_one(session: ort.InferenceSession, images: Images) -> Answer:
    singles = [_run(session, images[i : i + 1]) for i in range(len(images))]
    return Answer(*(np.concatenate(values) for values in zip(*singles, strict=True)))


def _run(session: ort.InferenceSession, images: Images) -> Answer:
    logits, probabilities, *novelty = session.run(None, {IMAGE: images})
    return Answer(logits, probabilities, *(novelty or [np.empty((len(images), 0), np.float32)]))
