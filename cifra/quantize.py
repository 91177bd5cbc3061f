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
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from timeit import timeit
from typing import Annotated, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quant_pre_process, quantize_static

from serve.inference.model import Model
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
    with tempfile.TemporaryDirectory() as folder:
        smaller = Path(folder) / target.name
        before = Model.load(source)
        size = before.input_shape[-1]
        quantize(source, datasets.load("train", size).images[:CALIBRATION], smaller)
        after, validation = Model.load(smaller), datasets.load("validation", size)
        row = {
            "network": name,
            "bytes": source.stat().st_size,
            "int8_bytes": smaller.stat().st_size,
            "validation_accuracy": accuracy(before, validation),
            "int8_validation_accuracy": accuracy(after, validation),
            **speedups(before, after, validation.images[:1]),
        }
        row["kept"] = wins(row)
        if row["kept"]:
            files.write(target, smaller.read_bytes())
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


def quantize(source: Path, images: Images, target: Path) -> None:
    """With what the source says of its origin; without the domains that ONNX Runtime names and no operator is of."""
    prepared = target.with_name("prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        Batches(images),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=OPERATORS,
    )
    proto = onnx.load(target)
    domains = {node.domain for node in proto.graph.node}
    for opset in [opset for opset in proto.opset_import if opset.domain not in domains]:
        proto.opset_import.remove(opset)
    said = {entry.key: entry.value for entry in onnx.load(source).metadata_props}
    said["cifra.quantized_from"] = hashlib.md5(source.read_bytes(), usedforsecurity=False).hexdigest()
    onnx.helper.set_model_props(proto, said)
    target.write_bytes(proto.SerializeToString(deterministic=True))


def accuracy(model: Model, labelled: LabelledImages) -> float:
    return float((model.predict(labelled.images).logits.argmax(axis=1) == labelled.labels).mean())


def speedups(before: Model, after: Model, image: Images) -> Row:
    """How many times as fast the second answers one image: the median of the rounds, the lowest and the highest."""
    ratios = [seconds(before, image) / seconds(after, image) for _ in range(ROUNDS)]
    return {"speedup": median(ratios), "speedup_low": min(ratios), "speedup_high": max(ratios)}


def seconds(model: Model, image: Images) -> float:
    return timeit(lambda: model.predict(image), number=ASKED)


def text(row: Row) -> str:
    verdict = f"kept as {INT8}/{row['network']}_int8.onnx" if row["kept"] else "not kept"
    return (
        f"{row['network']}: {row['int8_bytes'] / row['bytes']:.0%} of the bytes, "
        f"{row['speedup']:.2f} ({row['speedup_low']:.2f} to {row['speedup_high']:.2f}) times as fast, "
        f"validation accuracy {row['validation_accuracy']:.2%} to {row['int8_validation_accuracy']:.2%}: {verdict}"
    )
