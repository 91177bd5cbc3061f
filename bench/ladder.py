"""What each ingredient of best_cnn is worth: trained on the 1,797 digits alone, asked about MNIST's 10,000 test images.

    CIFRA_MIRROR=… python -m bench.ladder --seeds 3        about five minutes on two cores

Each rung adds one ingredient to those before it; the last is the recipe of params.yaml. Nothing is tuned by it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from ruamel.yaml import YAML

from bench.train import RESULT, machine, prepare, run
from stages.core.cli import files

LADDER = RESULT.with_name("ladder.json")
NETWORK = "best_cnn"
INGREDIENTS = ("schedule", "weight_decay", "label_smoothing", "ema_epochs", "augment")

yaml = YAML()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--from", dest="first", choices=("plain", *INGREDIENTS), default="plain", metavar="RUNG")
    asked = parser.parse_args()
    seeds = range(1, asked.seeds + 1)
    names = ("plain", *INGREDIENTS)
    rungs: dict[str, Any] = files.read_json(LADDER)["rungs"] if asked.first != "plain" else {}
    with tempfile.TemporaryDirectory() as folder:
        digits, mnist = Path(folder) / "digits", Path(folder) / "mnist"
        for place in (digits, mnist):
            place.mkdir()
            prepare(place, place.name)
        for name in names[names.index(asked.first) :]:
            leave_out(digits, INGREDIENTS[names.index(name) :])
            rungs[name] = rung(digits, mnist / "data" / "split", seeds)
            print(f"{name}: {rungs[name]}", flush=True)
    files.write_json(LADDER, {"rungs": rungs, "seeds": len(seeds), "machine": machine()})


def leave_out(folder: Path, ingredients: tuple[str, ...]) -> None:
    chosen = yaml.load(folder / "params.yaml")
    whole = yaml.load(RESULT.parents[2] / "params.yaml")["models"][NETWORK]
    kept = {name: value for name, value in whole.items() if name not in ingredients}
    chosen["models"][NETWORK] = {"augment": {"digits": {}}} | kept  # changes nothing, and keeps to the originals
    yaml.dump(chosen, folder / "params.yaml")


def rung(folder: Path, other: Path, seeds: range) -> dict[str, Any]:
    seen = [
        json.loads(run(folder, "-m", "bench.train_once", "whole", NETWORK, str(seed), str(other))) for seed in seeds
    ]
    return {
        "digits": round(fmean(one["accuracy"] for one in seen), 4),
        "mnist": [one["other"] for one in seen],
        "mean": round(fmean(one["other"] for one in seen), 4),
        "deviation": round(stdev(one["other"] for one in seen), 4) if len(seen) > 1 else 0.0,
        "seconds": round(median(one["seconds"] for one in seen), 1),
    }


if __name__ == "__main__":
    main()
