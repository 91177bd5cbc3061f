"""How many photographs a second `python -m serve predict` answers, beside a plain loop and MLflow.

    python -m bench.batch --n 3000

The photographs are JPEG of 200×200, made of shapes and noise; the network is fast_cnn on 64×64, untrained. The plain
loop is what one writes first: Pillow opens, converts and resizes, onnxruntime answers, one after the other. MLflow is
given the pixels, decoded beforehand: its command takes tables. Writes bench/results/batch.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from PIL import Image

from serve.pictures.whole import whole
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from tests.photographs import CLASSES, write

RESULTS = Path(__file__).parent / "results" / "batch.json"
SHAPE = (3, 64, 64)
ROUNDS = 3


def network(path: Path) -> Path:
    torch.manual_seed(0)
    built = networks.build("fast_cnn", SHAPE, len(CLASSES), filters=[16, 48, 96]).eval()
    proto = onnx_file.to_onnx(built)
    onnx_file.describe(proto, {"classes": list(CLASSES), "preparation": {"picture": "whole", "fit": "crop"}})
    onnx.save(proto, path)
    return path


def plain_loop(model: Path, files: list[Path]) -> None:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    with (model.parent / "plain.csv").open("w") as table:
        for file in files:
            pixels = np.asarray(Image.open(file).convert("RGB").resize(SHAPE[1:], Image.Resampling.BILINEAR))
            [probabilities] = session.run(["probabilities"], {"image": pixels.transpose(2, 0, 1)[None]})
            table.write(f"{file},{CLASSES[int(probabilities.argmax())]},{probabilities.max()}\n")


def ours(model: Path, folder: Path) -> None:
    out = model.parent / "ours.csv"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "serve", "predict", str(folder), "--model", str(model), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)


def mlflow(model: Path, files: list[Path]) -> float:
    """Seconds of `mlflow models predict` on the pixels as JSON."""
    import mlflow

    pixels = np.stack([whole(file.read_bytes(), SHAPE, "crop") for file in files])
    (model.parent / "pixels.json").write_text(json.dumps({"inputs": {"image": pixels.tolist()}}))
    saved = model.parent / "mlflow"
    signature = mlflow.models.infer_signature({"image": pixels[:1]})
    mlflow.onnx.save_model(onnx.load(model), str(saved), signature=signature)
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(saved), "--env-manager", "local"]
    command += ["-i", str(model.parent / "pixels.json"), "-o", str(model.parent / "mlflow.json")]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3000)
    count = parser.parse_args().n
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write(work / "photos", count, 200)
        files = sorted((work / "photos").rglob("*.jpg"))
        model = network(work / "network.onnx")
        rounds = [
            (seconds(lambda: plain_loop(model, files)), seconds(lambda: ours(model, work / "photos")))
            for _ in range(ROUNDS)
        ]
        some = files[:200]
        rate = {
            "plain loop": count / min(plain for plain, _ in rounds),
            "python -m serve predict": count / min(own for _, own in rounds),
            "mlflow models predict": len(some) / mlflow(model, some),
        }
    ratio = float(np.median([plain / own for plain, own in rounds]))
    found = {
        "photographs": count,
        "cores": os.cpu_count(),
        "images_per_second": {name: round(value) for name, value in rate.items()},
        "times_the_plain_loop": round(ratio, 2),
        "mlflow_photographs": len(some),
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
