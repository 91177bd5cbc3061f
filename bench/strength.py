"""Accuracy of our own two networks over several seeds, each trained by its whole recipe.

    CIFRA_MIRROR=… python -m bench.strength fast_cnn mnist --seeds 10
    CIFRA_MIRROR=… python -m bench.strength best_cnn fashion_mnist --seeds 5
    CIFRA_MIRROR=… python -m bench.strength best_cnn fashion_mnist --seeds 5 --first 3    goes on after two seeds

Nine tenths of the training set are trained on, the last tenth chooses the epoch, the test set is looked at once for
each seed. bench/results/strength.json keeps the seconds of the training loop too; `make docs` reads it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from bench.train import RESULT, machine, prepare, run
from stages.core.cli import files

STRENGTH = RESULT.with_name("strength.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("dataset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first", type=int, default=1, help="the seeds before it were measured already, by this recipe"
    )
    asked = parser.parse_args()
    trained = held(asked.network, asked.dataset)[: asked.first - 1]
    if len(trained) < asked.first - 1:
        parser.error(f"--first {asked.first}, but {STRENGTH} holds {len(trained)} seeds")
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), asked.dataset)
        for seed in range(asked.first, asked.seeds + 1):
            one = json.loads(run(Path(folder), "-m", "bench.train_once", "whole", asked.network, str(seed)))
            print(f"seed {seed}: {one['accuracy']:.2%} in {one['seconds']:.1f} s", flush=True)
            trained.append(one)
            keep(asked.network, asked.dataset, trained)


def held(network: str, dataset: str) -> list[dict[str, Any]]:
    """What was measured of the network, a seed each."""
    row = found()["trained"].get(f"{network} {dataset}", {"accuracy": [], "seconds": [], "precision": ""})
    pairs = zip(row["accuracy"], row["seconds"], strict=True)
    return [{"accuracy": right, "seconds": seconds, "precision": row["precision"]} for right, seconds in pairs]


def found() -> dict[str, Any]:
    return files.read_json(STRENGTH) if STRENGTH.exists() else {"trained": {}}


def keep(network: str, dataset: str, trained: list[dict[str, Any]]) -> None:
    accuracy = [one["accuracy"] for one in trained]
    spread = stdev(accuracy) if len(accuracy) > 1 else 0.0
    kept = found()
    kept["trained"][f"{network} {dataset}"] = {
        "accuracy": accuracy,
        "mean": round(fmean(accuracy), 5),
        "deviation": round(spread, 5),
        "seconds": [round(one["seconds"], 1) for one in trained],
        "precision": trained[0]["precision"],
    }
    files.write_json(STRENGTH, kept | {"machine": machine()})
    print(f"{network} on {dataset}: {fmean(accuracy):.3%} ± {spread:.3%} (n = {len(accuracy)})")


if __name__ == "__main__":
    main()
