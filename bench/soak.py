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
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from bench.clone import ROOT, RUNNING, Clone
from bench.evidence import Hashes, differences, doubles, hashes, is_passing
from stages.core.cli import files

RESULTS = ROOT / "bench" / "results" / "soak.json"
NETWORK = "mlp_64_128"
RECIPE = {"epochs": 30, "batch_size": 16, "optimizer": "adam"}
LIMIT_S = 300  # for a pipeline
ENDED_S = 30  # for what lives on when DVC alone is dead
PAUSE_S = 8  # at most, should the unbroken run have been held up
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


@dataclass(frozen=True)
class Unbroken:
    """What a pipeline leaves that nobody killed, and the seconds that each of its stages took."""

    hashes: Hashes
    seconds: Mapping[str, float]

    @classmethod
    def run(cls, clone: Clone) -> Self:
        seconds = clone.durations()
        return cls(hashes(clone.path), seconds)


def soak(kills: int, seed: int, unbroken: Unbroken, clones: Iterator[Clone]) -> Iterator[Kill | End]:
    chance = random.Random(seed)
    done = 0
    while done < kills:
        broken = next(clones)
        while done < kills and (outcome := kill(broken, unbroken, chance)):
            done += 1
            yield outcome
        said = repro(broken)
        found = differences(unbroken.hashes, hashes(broken.path))
        yield End(found + traces(said) + doubles(broken.path / "mlflow.db"))


def clones(folder: Path) -> Iterator[Clone]:
    return (Clone(folder / f"clone {number}", [NETWORK], RECIPE) for number in itertools.count())


def kill(broken: Clone, unbroken: Unbroken, chance: random.Random) -> Kill | None:
    """None if the pipeline came to its end, or could not be hit in the way that was drawn."""
    way = chance.choice(list(WAYS))
    passes = int(chance.random() < PASSED_ON)
    share = 1.1 * chance.random() ** 0.5  # more often towards the end: the beginning is all imports
    with broken.start("dvc", "repro") as dvc:
        stage, before = wait_for_stage(dvc, passes)
        time.sleep(min(share * unbroken.seconds[stage], PAUSE_S) if stage else 0)
        begin = time.monotonic()
        hit = bool(stage) and send(dvc, *WAYS[way])
        said, outlived = last_words(dvc)
        ended = time.monotonic() - begin
    if hit:
        held = {name: digest for name, digest in hashes(broken.path).items() if not is_passing(name)}
        changed = differences(unbroken.hashes, {**unbroken.hashes, **held})
        return Kill(stage, way, ended, changed + traces(said) + outlived)
    return None if dvc.returncode == 0 else kill(mended(broken, before + said), unbroken, chance)


def repro(broken: Clone) -> str:
    """What `dvc repro` says, undisturbed and to its end."""
    with broken.start("dvc", "repro") as dvc:
        said: str = dvc.communicate(timeout=LIMIT_S)[0]
    return said if dvc.returncode == 0 else repro(mended(broken, said))


def traces(said: str) -> list[str]:
    """None from Python itself, interrupted on its way to the first line of ours: all of that is frozen into it."""
    _, *found = said.split("Traceback")
    return [f"a traceback:{trace}" for trace in found if re.search(r'File "[^<]', trace)]


def mended(broken: Clone, said: str) -> Clone:
    """DVC writes two of its own files in place, and may die in between: then the doctor says what to do."""
    with broken.start("python", "-m", "cifra", "doctor") as doctor:
        advice = doctor.communicate()[0]
    advised = re.findall(r"`(?:rm|git checkout) (\.dvc/tmp/rwlock|dvc\.lock)`$", advice, re.MULTILINE)
    if not advised:
        raise RuntimeError(f"dvc repro failed, though nobody killed it: {said}\nThe doctor: {advice}")
    for name in advised:  # removed: git has no dvc.lock of a clone whose first run was killed
        (broken.path / name).unlink()
    return broken


def wait_for_stage(dvc: subprocess.Popen[str], passes: int) -> tuple[str, str]:
    """The stage that runs after that many others have begun, empty if there is none; and what was said until then."""
    assert dvc.stdout
    said = ""
    for line in dvc.stdout:
        said += line
        if found := RUNNING.search(line):
            if not passes:
                return found[1], said
            passes -= 1
    return "", said


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and ways (default: %(default)s)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores, and hands on
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="cifra-soak-") as folder:
        scratch = clones(Path(folder))
        for outcome in soak(arguments.kills, arguments.seed, Unbroken.run(next(scratch)), scratch):
            outcomes.append(outcome)
            print(outcome, flush=True)
            keep(arguments.seed, outcomes)
    print(total())
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
    files.write_json(RESULTS, held | {str(seed): found})


def total() -> str:
    seeds = files.read_json(RESULTS).values()
    kills, troubles = sum(each["kills"] for each in seeds), sum(len(each["troubles"]) for each in seeds)
    return f"{kills} kills over all seeds, {troubles} troubles: {RESULTS.relative_to(ROOT)}"


if __name__ == "__main__":
    sys.exit(main())
