"""Leave the test images beside the models, with what each network takes them for: the page shows them.

python -m stages.samples
"""

import io
from typing import Any

import numpy as np

from stages.core.cli import files, params
from stages.core.cli.command import command
from stages.core.cli.paths import METRICS, MODELS, RESULTS
from stages.core.data import datasets

LARGEST = 10_000  # images, 8 MB of them


def main() -> None:
    test, metadata = datasets.load("test"), datasets.metadata()
    images = test.images[:LARGEST]
    networks = {name: judged(name, metadata["classes"]) for name in params.load().models}
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    files.write(MODELS / "samples.npy", buffer.getvalue())
    document = {
        "dataset": metadata["dataset"],
        "classes": metadata["classes"],
        "labels": test.labels[:LARGEST].tolist(),
        "networks": networks,
    }
    files.write(MODELS / "samples.json", files.json_bytes(document))
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
