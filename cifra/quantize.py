"""Quantise exported networks to int8; models/int8 keeps those that are smaller, not slower and as right.

    python -m cifra quantize              # every network of params.yaml
    python -m cifra quantize --network dropout_cnn

Static quantisation (QDQ, a scale for each channel), calibrated on training images. The table of all, kept or not,
is reports/int8.csv. No stage of dvc.yaml, since what is kept depends on this machine's speed.
"""

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quant_pre_process, quantize_static

from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import MODELS, REPORTS
from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages

INT8 = MODELS / "int8"
MOST_LOST = 0.0005 + 1e-9  # of the accuracy over the whole test set
CALIBRATION = 512  # training images
ROUNDS, ASKED = 15, 100  # the two take turns; of all rounds the quickest counts, as the others had company
OPERATORS = ["Conv", "Gemm", "MaxPool", "Relu"]

Images = NDArray[np.uint8]
Row = dict[str, Any]


def main(network: str | None = None) -> None:
    chosen = params.load()
    names = [network] if network else list(chosen.models)
    for name in names:
        chosen.recipe(name)  # or an error that names those there are
    logging.getLogger().setLevel(logging.ERROR)  # it advises what is done here already
    rows = [compare(name) for name in names]
    files.write_csv(REPORTS / "int8.csv", rows)
    for row in rows:
        print(said(row))


def compare(name: str) -> Row:
    source = MODELS / f"{name}.onnx"
    if not source.exists():
        raise UserError(f"{source} is not there: run `dvc repro export@{name}`")
    before = open_session(source.read_bytes())
    size = before.get_inputs()[0].shape[-1]
    data = quantized(source, datasets.load("train", size).images[:CALIBRATION])
    after, test = open_session(data), datasets.load("test", size)
    quicker = speed_up(before, after, test.images[:1])
    row = {
        "network": name,
        "bytes": source.stat().st_size,
        "int8_bytes": len(data),
        "accuracy": accuracy(before, test),
        "int8_accuracy": accuracy(after, test),
        "times_as_fast": round(quicker, 2),
    }
    row["kept"] = wins(row)
    if row["kept"]:
        files.write(INT8 / f"{name}.onnx", data)
    else:
        (INT8 / f"{name}.onnx").unlink(missing_ok=True)
    return row


def wins(row: Row) -> bool:
    as_right = row["int8_accuracy"] >= row["accuracy"] - MOST_LOST
    return bool(as_right and row["int8_bytes"] < row["bytes"] and row["times_as_fast"] >= 1)


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
        return done.read_bytes()


def open_session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def accuracy(session: Any, test: LabelledImages) -> float:
    batches = np.array_split(test.images, max(1, len(test) // 500))
    answers = np.concatenate([session.run(["logits"], {"image": batch})[0].argmax(1) for batch in batches])
    return float((answers == test.labels).mean())


def speed_up(before: Any, after: Any, image: Images) -> float:
    """How many times as fast the second answers one image."""
    seconds: dict[Any, float] = {}
    for _ in range(ROUNDS):
        for session in (before, after):
            start = time.perf_counter()
            for _ in range(ASKED):
                session.run(["probabilities"], {"image": image})
            seconds[session] = min(seconds.get(session, float("inf")), time.perf_counter() - start)
    return seconds[before] / seconds[after]


def said(row: Row) -> str:
    verdict = f"kept as {INT8}/{row['network']}.onnx" if row["kept"] else "not kept"
    return (
        f"{row['network']}: {row['int8_bytes'] / row['bytes']:.0%} of the bytes, {row['times_as_fast']} times as fast, "
        f"accuracy {row['accuracy']:.2%} to {row['int8_accuracy']:.2%}: {verdict}"
    )


if __name__ == "__main__":
    command(main, __doc__)
