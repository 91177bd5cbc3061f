"""verify, trace and the end of a stage, held against DVC itself."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench import evidence
from tests.cifra.test_verify import flip_a_bit
from tests.pipeline.conftest import Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NETWORK = "lenet_32"
STAGES = ["download", "split", "train", "export", "evaluate", "compare", "samples", "render"]


def test_what_dvc_recorded_is_verified_and_a_flipped_bit_is_not(repository: Repository) -> None:
    """In one file of each kind of output, with the date as it was; each is mended as advised."""
    assert repository.run("python", "-m", "cifra", "verify").endswith("all is as recorded\n")
    names = [f"weights/{NETWORK}/weights.safetensors", "champion/champion.onnx", f"metrics/{NETWORK}.json"]
    for name in names:
        flip_a_bit(repository.path / name)
    *lines, _ = repository.run("python", "-m", "cifra", "verify", code=1).splitlines()
    assert sorted(line.partition(" has changed: `")[0] for line in lines) == sorted(names)
    for line in lines:
        repository.run("sh", "-c", line.split("`")[1])
    repository.run("python", "-m", "cifra", "verify")


@pytest.mark.parametrize("stage", ["split", f"export@{NETWORK}", f"evaluate@{NETWORK}"])
def test_a_stage_that_is_repeated_makes_the_same_bytes(repository: Repository, stage: str) -> None:
    """As `cifra verify --help` says it."""
    before = (repository.path / "dvc.lock").read_bytes()
    repository.run("dvc", "repro", "--force", "--single-item", "--no-run-cache", stage)
    assert (repository.path / "dvc.lock").read_bytes() == before


# Files cannot grow beyond 100 bytes, which a program meets as it does a full disk.
FULL_DISK = f"""
import importlib, resource, signal, sys
sys.dont_write_bytecode = True
from stages.core.cli.command import command
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
stages = {{name: importlib.import_module("stages." + name) for name in {STAGES}}}
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for name, stage in stages.items():
    sys.argv = [name] + ["{NETWORK}"] * (name in ("train", "export", "evaluate", "render"))
    try:
        command(stage.main, "")
    except SystemExit as end:
        print(name, "ended with", end.code, file=sys.stderr, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_on_a_full_disk_every_stage_is_one_line_and_what_was_published_stays(repository: Repository) -> None:
    before = evidence.hashes(repository.path)
    said = repository.run("python", "-c", FULL_DISK).splitlines()
    ends = [line for line in said if " ended with " in line]
    assert ends == [f"{name} ended with 2" for name in STAGES]
    errors = [line for line in said if line.startswith("error: cannot write ") and "Free some space" in line]
    assert len(errors) == len(STAGES), said
    assert evidence.hashes(repository.path) == before


def test_the_champion_and_every_network_are_led_back(repository: Repository, tmp_path: Path) -> None:
    models = sorted(repository.path.glob("models/*.onnx"))
    assert len(models) > 1
    for model in [repository.path / "champion/champion.onnx", *models]:
        copy = shutil.copyfile(model, tmp_path / "somewhere.onnx")
        said = repository.run("python", "-m", "cifra", "trace", str(copy))
        (line,) = [line for line in said.splitlines() if line.startswith("dvc.lock")]
        assert f"{model.relative_to(repository.path).as_posix()} by " in line


@pytest.fixture
def long_training(repository: Repository) -> Iterator[Repository]:
    repository.edit("params.yaml", lambda params: params["models"][NETWORK].update(epochs=100_000))
    try:
        yield repository
    finally:
        repository.run("git", "checkout", "-q", "params.yaml")
        shutil.rmtree(repository.path / ".checkpoints")
        repository.run("dvc", "checkout", "-q")  # past the lock that the dead one held


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell of a parent's death")
def test_a_training_ends_when_dvc_alone_is_killed_and_the_next_dvc_goes_on(long_training: Repository) -> None:
    """With /bin/sh, which on Debian stays between DVC and the training."""
    root = long_training.path
    with started(long_training, "dvc", "repro", f"train@{NETWORK}", SHELL="/bin/sh") as dvc:
        while not list(root.glob(".checkpoints/*/*.safetensors")):
            assert dvc.poll() is None
            time.sleep(0.05)
        dvc.kill()
        dvc.communicate(timeout=20)  # to the end of the pipe, which the training holds too
    assert (root / ".dvc/tmp/rwlock").exists()


@contextmanager
def started(repository: Repository, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """With nothing that outlives the test."""
    process = repository.start(*command, **environment)
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
