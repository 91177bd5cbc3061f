"""Kill stages with SIGKILL at random moments, run them again, and hold every file against an unbroken run.

    python -m bench.soak 200
    python -m bench.soak 200 --seed 7

A small pipeline (200 images, one network) in a scratch folder, its stages as processes, without DVC. As DVC does,
the outputs of a stage are deleted before it starts. Exit codes: 0 every run ended in the same bytes, 1 one did not.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
NETWORK = "mlp_64_128"
OUTPUTS = {
    "download": ["data/raw"],
    "split": ["data/split"],
    "train": [f"weights/{NETWORK}"],
    "export": [f"models/{NETWORK}.onnx", f"models/{NETWORK}.json"],
    "evaluate": [f"metrics/{NETWORK}.json", f"results/{NETWORK}"],
}
PER_NETWORK = ("train", "export", "evaluate")
LIMIT_S = 120  # for one stage

Hashes = Mapping[str, str]


class Kill(NamedTuple):
    stage: str
    moment_s: float
    hit: bool
    """Whether the stage was still running."""
    differences: list[str]

    def __str__(self) -> str:
        what = "killed after" if self.hit else "had ended before"
        return f"{self.stage} {what} {self.moment_s:.2f} s: {', '.join(self.differences) or 'the same bytes'}"


def soak(kills: int, seed: int, folder: Path) -> Iterator[Kill]:
    """Each kill starts from a copy of the unbroken run."""
    unbroken = folder / "unbroken"
    set_out(unbroken)
    seconds = {stage: run(unbroken, stage) for stage in OUTPUTS}
    wanted = hashes(unbroken)
    chance = random.Random(seed)
    for number in range(kills):
        # Every stage in turn; more often towards its end, since the beginning is all imports.
        stage = list(OUTPUTS)[number % len(OUTPUTS)]
        moment = seconds[stage] * chance.random() ** 0.5
        broken = folder / f"kill {number}"
        shutil.copytree(unbroken, broken)
        delete_outputs(broken, stage)
        hit = kill(broken, stage, moment)
        run(broken, stage)
        yield Kill(stage, moment, hit, differences(wanted, hashes(broken)))
        shutil.rmtree(broken)


def set_out(folder: Path) -> None:
    yaml = YAML()
    params: dict[str, Any] = yaml.load(ROOT / "params.yaml")
    params |= {"dataset": "digits", "threads": 1, "accelerator": "cpu"}
    params["digits"]["copies"] = 0
    params["split"]["subset"] = {"train": 200, "validation": None, "test": 60}
    params["models"] = {NETWORK: params["models"][NETWORK] | {"epochs": 30, "batch_size": 16, "optimizer": "adam"}}
    folder.mkdir(parents=True)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def start(folder: Path, stage: str) -> subprocess.Popen[str]:
    """In a process group of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", *([NETWORK] if stage in PER_NETWORK else [])],
        cwd=folder,
        env={**own, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, stage: str) -> float:
    """The seconds it took."""
    begin = time.perf_counter()
    with start(folder, stage) as process:
        said = process.communicate(timeout=LIMIT_S)[1]
    if process.returncode:
        raise RuntimeError(f"{stage} in {folder} failed: {said.strip()}")
    return time.perf_counter() - begin


def kill(folder: Path, stage: str, moment_s: float) -> bool:
    with start(folder, stage) as process:
        try:
            process.wait(moment_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def delete_outputs(folder: Path, stage: str) -> None:
    for path in (folder / name for name in OUTPUTS[stage]):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def hashes(folder: Path) -> Hashes:
    """Of all files below data, weights, models, metrics and results, half-written leftovers included."""
    tops = {output.split("/")[0] for outputs in OUTPUTS.values() for output in outputs}
    files = (path for top in sorted(tops) for path in (folder / top).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def differences(wanted: Hashes, found: Hashes) -> list[str]:
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    arguments = parser.parse_args()
    failed = hit = 0
    with tempfile.TemporaryDirectory(prefix="cifra-soak-") as folder:
        for number, outcome in enumerate(soak(arguments.kills, arguments.seed, Path(folder)), 1):
            print(f"{number}/{arguments.kills} {outcome}", flush=True)
            failed, hit = failed + bool(outcome.differences), hit + outcome.hit
    print(f"{hit} of {arguments.kills} stages were killed while they ran; {failed} ended in other bytes")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
