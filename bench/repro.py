"""How long `dvc repro` takes in a fresh clone, kind of stage by kind of stage, and again with nothing to do.

    python -m bench.repro                        digits: three minutes on two cores
    CIFRA_MIRROR=… python -m bench.repro mnist   a quarter of an hour
    python -m bench.repro --networks simple_cnn dropout_cnn mlp_64_128 conv_net mlp_512_512 lenet_28 lenet_32

Nothing is shared with the working tree but its .venv. bench/results/repro.json keeps one row for each data set and
number of networks; `make docs` makes a table of them.
"""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from bench.clone import ROOT, Clone
from bench.train import RESULT, machine
from stages.core.cli import files, params
from stages.core.data.settings import Dataset

REPRO = RESULT.with_name("repro.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", nargs="?", choices=get_args(Dataset), default="digits")
    known = list(params.load().models)
    parser.add_argument("--networks", nargs="+", choices=known, default=known, metavar="NETWORK")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = {"dataset": asked.dataset, "networks": len(asked.networks)}
        row |= measure(whole(Path(folder), asked.dataset, asked.networks))
    print(row)
    held = files.read_json(REPRO)["rows"] if REPRO.exists() else []
    others = [one for one in held if (one["dataset"], one["networks"]) != (row["dataset"], row["networks"])]
    files.write_json(REPRO, {"rows": [*others, row], "machine": machine()})


def whole(path: Path, dataset: str, networks: Sequence[str]) -> Clone:
    """With every image and every epoch, where a clone has few."""

    def choose(settings: Any) -> None:
        models = {name: settings["models"][name] for name in networks}
        settings.update({"dataset": dataset, "models": models})

    clone = Clone(path, networks, {})
    shutil.copyfile(ROOT / "params.yaml", path / "params.yaml")
    clone.edit("params.yaml", choose)
    clone.commit()
    return clone


def measure(clone: Clone) -> dict[str, Any]:
    """Seconds."""
    begin = time.monotonic()
    stages = clone.durations()
    cold = time.monotonic()
    clone.run("dvc", "repro")
    idle = time.monotonic()
    kinds: defaultdict[str, float] = defaultdict(float)
    for stage, seconds in stages.items():
        kinds[stage.partition("@")[0]] += seconds
    return {
        "cold": round(cold - begin, 1),
        "idle": round(idle - cold, 1),
        "stages": {kind: round(seconds, 1) for kind, seconds in kinds.items()},
    }


if __name__ == "__main__":
    main()
