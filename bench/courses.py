"""The courses' recipes on MNIST and Fashion-MNIST, beside what the courses saw.

    CIFRA_MIRROR=… python -m bench.courses        about 15 minutes on two cores

Writes bench/results/courses.json, from which `make docs` makes a table. One seed, that of params.yaml.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from stages.core.cli import files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
yaml = YAML()

# Test accuracy after epochs 1 to 5 as the notebooks print it; they validate on the test set.
OWN = ("fast_cnn", "best_cnn")  # bench.strength has them
SEEN = {
    "mlp_64_128": [0.100, 0.280, 0.427, 0.507, 0.538],
    "conv_net": [0.714, 0.752, 0.777, 0.789, 0.800],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "seed": yaml.load(ROOT / "params.yaml")["seed"],
            "torch": torch.__version__,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "results": {name: whole(Path(folder) / name, name) for name in ("mnist", "fashion_mnist")},
            "seen": SEEN,
            "curves": curves(Path(folder) / "curves"),
        }
    files.write_json(RESULTS / "courses.json", found)


def whole(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """The comparison of all networks, each trained by its recipe on nine tenths of the training set."""
    prepare(folder, {"dataset": dataset})
    for network in yaml.load(folder / "params.yaml")["models"]:
        for stage in ("train", "export", "evaluate"):
            run(folder, stage, network)
    run(folder, "compare")
    return [dict(row) for row in files.read_csv(folder / "reports" / "comparison.csv")]


def curves(folder: Path) -> dict[str, list[float]]:
    """Accuracy per epoch on nine tenths of the test set, the whole training set being trained on, as the courses do."""
    prepare(folder, {"dataset": "fashion_mnist"}, {"validation_from": "test", "validation_share": 0.9})
    for network in SEEN:
        run(folder, "train", network)
    return {
        network: [float(row["validation_accuracy"]) for row in files.read_csv(folder / f"weights/{network}/epochs.csv")]
        for network in SEEN
    }


def prepare(folder: Path, changes: dict[str, Any], split: dict[str, Any] | None = None) -> None:
    params = yaml.load(ROOT / "params.yaml")
    params.update(changes)
    for network in OWN:
        del params["models"][network]
    params["split"].update(split or {})
    folder.mkdir()
    yaml.dump(params, folder / "params.yaml")
    run(folder, "download")
    run(folder, "split")


def run(folder: Path, stage: str, *arguments: str) -> None:
    command = [sys.executable, "-m", f"stages.{stage}", *arguments]
    print(f"{folder.name}: {' '.join(command[2:])}", flush=True)
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


if __name__ == "__main__":
    main()
