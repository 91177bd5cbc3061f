"""Publish the test images with what each network takes them for: the page shows them.

python -m stages.samples
"""

import io
from typing import Any

import numpy as np

from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.paths import METRICS, MODELS, REPORTS, RESULTS, SAMPLES
from stages.core.data import datasets

LARGEST = 10_000  # images, 8 MB of them


def main() -> None:
    test, metadata = datasets.load("test"), datasets.metadata()
    images = test.images[:LARGEST]
    names = [row["network"] for row in files.read_csv(REPORTS / "comparison.csv")]
    networks = {name: judged(name, metadata["classes"]) for name in names}
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    document = {
        "dataset": metadata["dataset"],
        "classes": metadata["classes"],
        "labels": test.labels[:LARGEST].tolist(),
        "networks": networks,
    }
    with files.fresh_folder(SAMPLES) as fresh:
        files.write(fresh / "samples.npy", buffer.getvalue())
        files.write(fresh / "samples.json", files.json_bytes(document))
    print(f"{len(images):,} test images for the page")


def judged(network: str, classes: list[str]) -> dict[str, Any]:
    """What the network takes each image for, and of which file this holds."""
    model = (MODELS / f"{network}.onnx").read_bytes()
    rows = files.read_csv(RESULTS / network / "predictions.csv")[:LARGEST]
    return {
        "sha256": files.sha256(model),
        "bytes": len(model),
        "accuracy": files.read_json(METRICS / f"{network}.json")["test"]["accuracy"],
        "predicted": [classes.index(row["predicted"]) for row in rows],
    }


if __name__ == "__main__":
    command(main, __doc__)
