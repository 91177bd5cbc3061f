"""Kill the pipeline at random moments, run it again, and hold every byte against an unbroken run.

    python -m bench.soak 200
    python -m bench.soak 200 --seed 7

The whole pipeline of dvc.yaml on few images, with one network, in scratch clones. `dvc repro` is started, ended in one
of the WAYS at a random moment of a random stage, and started again, until it comes to its end. After each kill no
published file may hold other bytes than in an unbroken run, nobody may live on, and nobody may have shown a traceback;
at the end every file and dvc.lock are those of the unbroken run, and MLflow holds every epoch once.
What happened is kept in bench/results/soak.json. Exit codes: 0 all was as it should be, 1 something was not.
"""

import argparse
import hashlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.clone import ROOT, Clone
from stages.core import files

RESULTS = ROOT / "bench" / "results" / "soak.json"
NETWORK = "mlp_64_128"
EPOCHS = 30
RECIPE = {"epochs": EPOCHS, "batch_size": 16, "optimizer": "adam"}
TOPS = ("data", "weights", "models", "metrics", "results", "reports", "figures")
RUNNING = re.compile(r"Running stage '(.*?)'")
LIMIT_S = 300  # for a pipeline
ENDED_S = 30  # for what lives on when DVC alone is dead
PASSED_ON = 0.3  # share of the kills that let the first stage pass and wait for the next
WAYS = {
    "SIGKILL to all": (signal.SIGKILL, "all"),
    "SIGKILL to DVC": (signal.SIGKILL, "dvc"),
    "SIGKILL to the stage": (signal.SIGKILL, "stage"),
    "SIGTERM to all": (signal.SIGTERM, "all"),
    "SIGTERM to DVC": (signal.SIGTERM, "dvc"),
    "SIGTERM to the stage": (signal.SIGTERM, "stage"),
    "Ctrl-C": (signal.SIGINT, "all"),
}

Hashes = Mapping[str, str]


class Kill(NamedTuple):
    stage: str
    way: str
    ended_s: float
    """From the kill to the end of the last process."""
    troubles: list[str]

    def __str__(self) -> str:
        return f"{self.stage}, {self.way}: {'; '.join(self.troubles) or f'well, ended in {self.ended_s:.1f} s'}"


class End(NamedTuple):
    """Of a pipeline that was killed before."""

    troubles: list[str]

    def __str__(self) -> str:
        return f"at the end: {'; '.join(self.troubles) or 'the same bytes'}"


def soak(kills: int, seed: int, folder: Path) -> Iterator[Kill | End]:
    unbroken = clone(folder / "unbroken")
    seconds = durations(unbroken)
    wanted = hashes(unbroken.path)
    chance = random.Random(seed)
    done = 0
    while done < kills:
        broken = clone(folder / f"broken {done}")
        while done < kills and (outcome := kill(broken, seconds, wanted, chance)):
            done += 1
            yield outcome
        said = repro(broken)
        yield End(differences(wanted, hashes(broken.path)) + traces(said) + doubles(broken.path / "mlflow.db"))


def clone(path: Path) -> Clone:
    return Clone(path, [NETWORK], RECIPE)


def durations(unbroken: Clone) -> dict[str, float]:
    """Run the pipeline; the seconds of each stage."""
    begins = {}
    with unbroken.start("dvc", "repro") as dvc:
        assert dvc.stdout
        for line in dvc.stdout:
            if found := RUNNING.search(line):
                begins[found[1]] = time.monotonic()
    assert dvc.returncode == 0
    ends = [*list(begins.values())[1:], time.monotonic()]
    return {stage: end - begin for (stage, begin), end in zip(begins.items(), ends, strict=True)}


def kill(broken: Clone, seconds: dict[str, float], wanted: Hashes, chance: random.Random) -> Kill | None:
    """None if the pipeline came to its end, or could not be hit in the way that was drawn."""
    way = chance.choice(list(WAYS))
    passes = int(chance.random() < PASSED_ON)
    share = 1.1 * chance.random() ** 0.5  # more often towards the end: the beginning is all imports
    with broken.start("dvc", "repro") as dvc:
        stage = wait_for_stage(dvc, passes)
        time.sleep(share * seconds[stage] if stage else 0)
        begin = time.monotonic()
        hit = bool(stage) and send(dvc, *WAYS[way])
        said, outlived = last_words(dvc)
        ended = time.monotonic() - begin
    if hit:
        held = {name: digest for name, digest in hashes(broken.path).items() if not is_passing(name)}
        return Kill(stage, way, ended, differences(wanted, {**wanted, **held}) + traces(said) + outlived)
    return None if dvc.returncode == 0 else kill(mended(broken, said), seconds, wanted, chance)


def repro(broken: Clone) -> str:
    """What `dvc repro` says, undisturbed and to its end."""
    with broken.start("dvc", "repro") as dvc:
        said: str = dvc.communicate(timeout=LIMIT_S)[0]
    return said if dvc.returncode == 0 else repro(mended(broken, said))


def mended(broken: Clone, said: str) -> Clone:
    """DVC writes two of its own files in place, and may die in between: then the doctor says what to do."""
    with broken.start("python", "-m", "stages.doctor") as doctor:
        advice = doctor.communicate()[0]
    lines = re.findall(r"^(?:\.dvc/tmp/rwlock|dvc\.lock) .*: `(rm [^`]*)`$", advice, re.MULTILINE)
    if not lines:
        raise RuntimeError(f"dvc repro failed, though nobody killed it: {said}\nThe doctor: {advice}")
    for line in lines:
        broken.run(*line.split())
    return broken


def wait_for_stage(dvc: subprocess.Popen[str], passes: int) -> str:
    """The stage that runs after that many others have begun; empty if there is none."""
    assert dvc.stdout
    stage = ""
    for line in dvc.stdout:
        if found := RUNNING.search(line):
            stage = found[1]
            if not passes:
                return stage
            passes -= 1
    return ""


def send(dvc: subprocess.Popen[str], number: signal.Signals, whom: str) -> bool:
    """Whether there was somebody to take the signal: between two stages the next is waited for."""
    while dvc.poll() is None:
        if whom == "all":
            os.killpg(dvc.pid, number)
        if whom == "dvc":
            dvc.send_signal(number)
        if whom != "stage" or send_to_stage(dvc.pid, number):
            return True
        time.sleep(0.01)
    return False


def send_to_stage(dvc: int, number: signal.Signals) -> bool:
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(dvc).children(recursive=True):
            if process.cmdline()[1:2] == ["-m"]:  # and not a shell between the two
                process.send_signal(number)
                return True
    return False


def last_words(dvc: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """What was said until the last process let go of the pipe."""
    try:
        return dvc.communicate(timeout=LIMIT_S if dvc.poll() is None else ENDED_S)[0], []
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGKILL)
        return dvc.communicate()[0], [f"somebody lived on for {ENDED_S} s"]


def traces(said: str) -> list[str]:
    return [f"a traceback: {said[said.index('Traceback') :]}"] if "Traceback" in said else []


def hashes(folder: Path) -> Hashes:
    """Of all that the stages leave, and of what DVC says of it."""
    found = [path for top in TOPS for path in (folder / top).rglob("*") if path.is_file()]
    found += [folder / "dvc.lock"] if (folder / "dvc.lock").exists() else []
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def is_passing(name: str) -> bool:
    """Of the half-way only: what the dead left unfinished, which the next run sweeps, and a lock not yet complete."""
    return name == "dvc.lock" or ".partial" in name


def differences(wanted: Hashes, found: Hashes) -> list[str]:
    return [f"{name} differs" for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]


def doubles(store: Path) -> list[str]:
    """One finished run, with every epoch once."""
    with closing(sqlite3.connect(store)) as database:
        runs = [status for (status,) in database.execute("SELECT status FROM runs")]
        steps = [step for (step,) in database.execute("SELECT step FROM metrics WHERE key = 'validation_loss'")]
    right = runs == ["FINISHED"] and sorted(steps) == list(range(1, EPOCHS + 1))
    return [] if right else [f"MLflow holds {runs} with the epochs {steps}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and ways (default: %(default)s)")
    arguments = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="cifra-soak-") as folder:
        for outcome in soak(arguments.kills, arguments.seed, Path(folder)):
            outcomes.append(outcome)
            print(outcome, flush=True)
    keep(arguments.seed, outcomes)
    return int(any(outcome.troubles for outcome in outcomes))


def keep(seed: int, outcomes: Sequence[Kill | End]) -> None:
    """Beside what other seeds found."""
    kills = [outcome for outcome in outcomes if isinstance(outcome, Kill)]
    found = {
        "kills": len(kills),
        "pipelines": len(outcomes) - len(kills),
        "troubles": [str(outcome) for outcome in outcomes if outcome.troubles],
        "ways": dict(sorted(Counter(kill.way for kill in kills).items())),
        "stages": dict(sorted(Counter(kill.stage for kill in kills).items())),
        "longest_s": round(max(kill.ended_s for kill in kills), 1),
    }
    held = files.read_json(RESULTS) if RESULTS.exists() else {}
    seeds = held | {str(seed): found}
    files.write_json(RESULTS, seeds)
    total = sum(each["kills"] for each in seeds.values())
    troubles = sum(len(each["troubles"]) for each in seeds.values())
    print(
        f"{len(kills)} kills; with those of other seeds {total}, and {troubles} troubles: {RESULTS.relative_to(ROOT)}"
    )


if __name__ == "__main__":
    sys.exit(main())
