"""Our training loop beside the notebooks': seconds per epoch and accuracy on MNIST, by the same recipes.

    CIFRA_MIRROR=… python -m bench.train                 about 12 minutes on two cores
    python -m bench.train --networks lenet_28 --rounds 3

Each measurement is a process of its own, the two loops take turns, and each round has its seed. What is measured of
a network replaces what bench/results/train.json held of it; `make docs` makes a table of that file.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, geometric_mean, median, stdev
from typing import Any

from ruamel.yaml import YAML

from stages.core.cli import files

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "bench" / "results" / "train.json"
NETWORKS = ("mlp_64_128", "mlp_512_512", "lenet_28", "conv_net", "simple_cnn", "dropout_cnn")
LOOPS = ("notebook", "cifra")
TOLD = ("seconds", "accuracy")  # of each training


def main() -> None:
    asked = options(__doc__, NETWORKS)
    found: dict[str, Any] = files.read_json(RESULT) if RESULT.exists() else {"networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for network in asked.networks:
            found["networks"][network] = compare(Path(folder), network, asked.rounds)
            print(line(network, found["networks"][network]), flush=True)
    ratios = [result["ratio"] for result in found["networks"].values()]
    found |= {"geometric_mean": round(geometric_mean(ratios), 2), "machine": machine()}
    files.write_json(RESULT, found)
    print(f"geometric mean over {len(ratios)} networks: {found['geometric_mean']} ×")


def options(about: str | None, networks: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks, metavar="NETWORK")
    parser.add_argument("--rounds", type=int, default=5, help="seeds of each network (%(default)s)")
    return parser.parse_args()


def prepare(folder: Path, dataset: str = "mnist") -> None:
    """The data set as `download` and `split` leave it, in a scratch repository."""
    yaml = YAML()
    chosen = yaml.load(ROOT / "params.yaml")
    chosen["dataset"] = dataset
    yaml.dump(chosen, folder / "params.yaml")
    for stage in ("download", "split"):
        run(folder, "-m", f"stages.{stage}")


def compare(folder: Path, network: str, rounds: int) -> dict[str, Any]:
    """Both loops, `rounds` seeds each."""
    seen = in_turns(folder, network, LOOPS, rounds)
    told = side_by_side(seen)
    notebook, ours = (median(told["seconds"][loop]) for loop in LOOPS)
    busy = median(one["operations"] / one["seconds"] / one["matmul"] for one in seen["cifra"])
    return told | {
        "precision": seen["cifra"][0]["precision"],
        "ratio": round(notebook / ours, 2),
        "share_of_matmul": round(busy, 3),
    }


def in_turns(folder: Path, network: str, loops: Sequence[str], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """What each of two trainings of `bench.train_once` tells, a seed each round; who goes first alternates."""
    seen: dict[str, list[dict[str, Any]]] = {loop: [] for loop in loops}
    for seed in range(1, rounds + 1):
        for loop in loops if seed % 2 else reversed(loops):
            seen[loop].append(json.loads(run(folder, "-m", "bench.train_once", loop, network, str(seed))))
    return seen


def side_by_side(seen: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Seconds and accuracies of two trainings, and how much more accurate the second is."""
    seconds, accuracy = ({loop: [one[what] for one in ones] for loop, ones in seen.items()} for what in TOLD)
    first, second = accuracy.values()
    return {
        "seconds": seconds,
        "accuracy": accuracy,
        "difference": round(fmean(second) - fmean(first), 5),
        "noise": round(noise(accuracy), 5),
    }


def noise(accuracy: dict[str, list[float]]) -> float:
    """Two standard errors of the difference of the means: less than that is no difference."""
    if min(map(len, accuracy.values())) < 2:
        return 1.0
    return 2 * float(sum(stdev(values) ** 2 / len(values) for values in accuracy.values()) ** 0.5)


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def line(network: str, result: dict[str, Any]) -> str:
    notebook, ours = (median(result["seconds"][loop]) for loop in LOOPS)
    return (
        f"{network:12} notebook {notebook:6.2f} s, ours {ours:6.2f} s an epoch in {result['precision']}: "
        f"{result['ratio']:5.2f} ×, {result['share_of_matmul']:.0%} of the matrix-multiply rate; "
        f"accuracy {result['difference']:+.2%} (noise {result['noise']:.2%}, n = {len(result['seconds']['cifra'])})"
    )


def machine() -> dict[str, Any]:
    import torch

    names = [text.partition(":")[2].strip() for text in cpuinfo() if text.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
