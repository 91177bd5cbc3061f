"""Quantise exported networks to int8; int8/ keeps those that are smaller and as accurate on the validation set.

    cifra quantize                         every network of params.yaml
    cifra quantize --network dropout_cnn
    cifra serve --models models int8       what was kept, beside the others

Static quantisation (QDQ, a scale for each channel), calibrated on training images. The table of all, kept or not,
is reports/int8.csv. How fast they are depends on the machine, is told for this one, and decides nothing.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quant_pre_process, quantize_static

from stages.core.cli import files, params
from stages.core.cli.errors import UserError
from stages.core.cli.paths import INT8, MODELS, REPORTS
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages

MOST_LOST = 0.0005 + 1e-9  # of the accuracy on the validation set
CALIBRATION = 512  # training images
ROUNDS, ASKED = 15, 100  # the two take turns
OPERATORS = ["Conv", "Gemm", "MaxPool", "Relu"]

Images = NDArray[np.uint8]
Row = dict[str, Any]


def main(network: Annotated[str, "that one of params.yaml alone"] = "") -> None:
    chosen = params.load()
    names = [network] if network else list(chosen.models)
    for name in names:
        chosen.recipe(name)  # or an error that names those there are
    logging.getLogger().setLevel(logging.ERROR)  # it advises what is done here already
    rows = [compare(name) for name in names]
    files.write_csv(REPORTS / "int8.csv", rows)
    for row in rows:
        print(text(row))


def compare(name: str) -> Row:
    source, target = MODELS / f"{name}.onnx", INT8 / f"{name}_int8.onnx"
    if not source.exists():
        raise UserError(f"{source} is not there: run `dvc repro export@{name}`")
    before = open_session(source.read_bytes())
    size = before.get_inputs()[0].shape[-1]
    data = quantized(source, datasets.load("train", size).images[:CALIBRATION])
    after, validation = open_session(data), datasets.load("validation", size)
    row = {
        "network": name,
        "bytes": source.stat().st_size,
        "int8_bytes": len(data),
        "validation_accuracy": accuracy(before, validation),
        "int8_validation_accuracy": accuracy(after, validation),
        **speedups(before, after, validation.images[:1]),
    }
    row["kept"] = wins(row)
    if row["kept"]:
        files.write(target, data)
    else:
        target.unlink(missing_ok=True)
    return row


def wins(row: Row) -> bool:
    lost = row["validation_accuracy"] - row["int8_validation_accuracy"]
    return bool(lost <= MOST_LOST and row["int8_bytes"] < row["bytes"])


class Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Images) -> None:
        self.batches: Iterator[Images] = iter(np.array_split(images, max(1, len(images) // 64)))

    def get_next(self) -> dict[str, Images] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"image": batch}


def quantized(source: Path, images: Images) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        prepared, done = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            done,
            Batches(images),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=OPERATORS,
        )
        return tidied(onnx.load(done), source)


def tidied(proto: onnx.ModelProto, source: Path) -> bytes:
    """Without the domains that ONNX Runtime names and no operator is of; with what the source says of its origin."""
    domains = {node.domain for node in proto.graph.node}
    for opset in [opset for opset in proto.opset_import if opset.domain not in domains]:
        proto.opset_import.remove(opset)
    said = {prop.key: prop.value for prop in onnx.load(source).metadata_props}
    said["cifra.quantized_from"] = hashlib.md5(source.read_bytes(), usedforsecurity=False).hexdigest()
    onnx.helper.set_model_props(proto, said)
    return bytes(proto.SerializeToString(deterministic=True))


def open_session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def accuracy(session: Any, labelled: LabelledImages) -> float:
    batches = np.array_split(labelled.images, max(1, len(labelled) // 500))
    answers = np.concatenate([session.run(["logits"], {"image": batch})[0].argmax(1) for batch in batches])
    return float((answers == labelled.labels).mean())


def speedups(before: Any, after: Any, image: Images) -> Row:
    """How many times as fast the second answers one image: the median of the rounds, the lowest and the highest."""
    ratios = []
    for _ in range(ROUNDS):
        first, second = seconds(before, image), seconds(after, image)
        ratios.append(first / second)
    return {"speedup": median(ratios), "speedup_low": min(ratios), "speedup_high": max(ratios)}


def seconds(session: Any, image: Images) -> float:
    start = time.perf_counter()
    for _ in range(ASKED):
        session.run(["probabilities"], {"image": image})
    return time.perf_counter() - start


def text(row: Row) -> str:
    verdict = f"kept as {INT8}/{row['network']}_int8.onnx" if row["kept"] else "not kept"
    return (
        f"{row['network']}: {row['int8_bytes'] / row['bytes']:.0%} of the bytes, "
        f"{row['speedup']:.2f} ({row['speedup_low']:.2f} to {row['speedup_high']:.2f}) times as fast, "
        f"validation accuracy {row['validation_accuracy']:.2%} to {row['int8_validation_accuracy']:.2%}: {verdict}"
    )
