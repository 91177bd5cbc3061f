"""bf16 beside fp32: what the type costs in accuracy, by whole recipes on MNIST over several seeds.

    CIFRA_MIRROR=… python -m bench.precision             about 35 minutes on two cores
    python -m bench.precision --networks conv_net --rounds 3

The two types take turns, as in bench.train. What is measured of a network replaces what bench/results/precision.json
held of it; `make docs` makes a table of that file.
"""

import tempfile
from pathlib import Path
from statistics import fmean, median
from typing import Any

from bench.train import RESULT, in_turns, machine, options, prepare, side_by_side
from stages.core.cli import files

PRECISION = RESULT.with_name("precision.json")
NETWORKS = ("fast_cnn", "mlp_512_512", "conv_net", "simple_cnn", "dropout_cnn")  # that params.yaml leaves in bf16
TYPES = ("fp32", "bf16")


def main() -> None:
    asked = options(__doc__, NETWORKS)
    found: dict[str, Any] = files.read_json(PRECISION) if PRECISION.exists() else {"networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for network in asked.networks:
            found["networks"][network] = side_by_side(in_turns(Path(folder), network, TYPES, asked.rounds))
            files.write_json(PRECISION, found | {"machine": machine()})
            print(line(network, found["networks"][network]), flush=True)


def line(network: str, result: dict[str, Any]) -> str:
    means = (
        f"{each} {fmean(result['accuracy'][each]):.2%} in {median(result['seconds'][each]):.1f} s" for each in TYPES
    )
    told = f"difference {result['difference']:+.2%}, noise {result['noise']:.2%}"
    return f"{network:12} {', '.join(means)}: {told} (n = {len(result['accuracy']['fp32'])})"


if __name__ == "__main__":
    main()
