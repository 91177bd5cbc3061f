"""How long all trainings of params.yaml take by `cifra fanout` beside `dvc repro`, on digits, in fresh clones.

    python -m bench.fanout          five minutes on two cores; bench/results/fanout.json

Both begin after `split`; afterwards both clones must hold the same in dvc.lock.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.clone import yaml
from bench.repro import whole
from bench.train import RESULT, machine
from stages.core.cli import files, params

FANOUT = RESULT.with_name("fanout.json")


def main() -> None:
    networks = list(params.load().models)
    ways = {"dvc repro": ("dvc", "repro", *(f"train@{name}" for name in networks)), "cifra fanout": ("cifra", "fanout")}
    seconds, locks = {}, []
    for way, (program, *arguments) in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            clone = whole(Path(folder), "digits", networks)
            clone.run("dvc", "repro", "split")
            begin = time.monotonic()
            clone.run("python", "-m", program, *arguments)
            seconds[way] = round(time.monotonic() - begin, 1)
            locks.append(yaml.load(Path(folder) / "dvc.lock"))
    assert locks[0] == locks[1], "the two ways differ"
    ratio = round(seconds["dvc repro"] / seconds["cifra fanout"], 2)
    row: dict[str, Any] = {"networks": len(networks), "seconds": seconds, "ratio": ratio, "machine": machine()}
    print(row)
    files.write_json(FANOUT, row)


if __name__ == "__main__":
    main()
