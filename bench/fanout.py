"""How long all trainings of params.yaml take by `cifra fanout` beside `dvc repro`, on digits, in fresh clones.

    python -m bench.fanout          five minutes on two cores; bench/results/fanout.json

Both begin after `split`; afterwards both clones must hold the same in dvc.lock.
"""

import argparse
import os
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = list(params.load().models)
    parser.add_argument("--networks", nargs="+", choices=known, default=known, metavar="NETWORK")
    networks = parser.parse_args().networks
    ways = {"dvc repro": ("dvc", "repro", *(f"train@{name}" for name in networks)), "cifra fanout": ("cifra", "fanout")}
    seconds, locks = {}, []
    load = round(os.getloadavg()[1], 1)  # of others, who take their share of the cores
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
    row: dict[str, Any] = {"networks": networks, "seconds": seconds, "ratio": ratio, "load": load, "machine": machine()}
    print(row)
    files.write_json(FANOUT, row)


if __name__ == "__main__":
    main()
