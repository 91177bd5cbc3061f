"""verify, trace, doctor and the end of a stage, held against DVC and MLflow themselves."""

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

from tests.pipeline.conftest import Repository
from tests.recorded import flip_a_bit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NETWORK = "lenet_32"


def test_what_dvc_recorded_is_verified(repository: Repository) -> None:
    assert "are as dvc.lock records them" in repository.run("python", "-m", "stages.verify")


@pytest.mark.parametrize("name", [f"weights/{NETWORK}/weights.safetensors", "models/champion.onnx"])
def test_what_verify_advises_mends_what_dvc_overlooks(repository: Repository, name: str) -> None:
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "stages.verify", code=1).splitlines()[0]
    assert line.startswith(f"{name} has changed: delete ")
    output = line.removesuffix("`").rpartition(" ")[2]
    target = repository.path / output
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    repository.run("dvc", "checkout", "-q", output)
    repository.run("python", "-m", "stages.verify")


@pytest.mark.parametrize("name", [f"metrics/{NETWORK}.json", "reports/comparison.csv"])
def test_what_dvc_leaves_to_git_comes_back_from_git(repository: Repository, name: str) -> None:
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "stages.verify", code=1).splitlines()[0]
    assert line == f"{name} has changed: `git checkout {name}`"
    repository.run("git", "checkout", "-q", name)
    repository.run("python", "-m", "stages.verify")


@pytest.mark.parametrize("network", ["mlp_64_128", NETWORK])
def test_what_git_does_not_hold_comes_back_by_repeating_the_stage(repository: Repository, network: str) -> None:
    name = f"metrics/{network}.json"
    repository.run("git", "rm", "-q", "--cached", name)
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "stages.verify", code=1).splitlines()[0]
    assert line == f"{name} has changed: `dvc repro evaluate@{network}`"
    repository.run("dvc", "repro", f"evaluate@{network}")
    repository.run("python", "-m", "stages.verify")
    repository.run("git", "add", name)


@pytest.mark.parametrize("stage", ["split", f"export@{NETWORK}", f"evaluate@{NETWORK}"])
def test_a_stage_that_is_repeated_makes_the_same_bytes(repository: Repository, stage: str) -> None:
    assert f"{stage}: the same bytes" in repository.run("python", "-m", "stages.verify", "--again", stage)


def test_every_link_of_the_champion_holds(repository: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "somewhere.onnx"
    shutil.copyfile(repository.path / "models" / "champion.onnx", copy)
    said = repository.run("python", "-m", "stages.trace", str(copy))
    states = [line[13:26].strip() for line in said.splitlines()]
    assert states == ["", "", "ok", "ok", "ok", "ok", "ok", "ok"]


@pytest.fixture
def long_training(repository: Repository) -> Iterator[Repository]:
    repository.edit("params.yaml", lambda params: params["models"][NETWORK].update(epochs=100_000))
    try:
        yield repository
    finally:
        repository.run("git", "checkout", "-q", "params.yaml")
        shutil.rmtree(repository.path / ".checkpoints")
        (repository.path / ".dvc/tmp/rwlock").unlink()
        repository.run("dvc", "checkout", "-q")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell of a parent's death")
def test_a_training_ends_when_dvc_alone_is_killed_and_the_doctor_sees_what_is_left(long_training: Repository) -> None:
    """With /bin/sh, which on Debian stays between DVC and the training."""
    root = long_training.path
    with started(long_training, "dvc", "repro", f"train@{NETWORK}", SHELL="/bin/sh") as dvc:
        while not list(root.glob(".checkpoints/*/*.safetensors")):
            assert dvc.poll() is None
            time.sleep(0.05)
        dvc.kill()
        dvc.communicate(timeout=20)  # to the end of the pipe, which the training holds too
    found = long_training.run("python", "-m", "stages.doctor", code=1)
    assert f".dvc/tmp/rwlock is held by process {dvc.pid}" in found
    assert "of a training that was killed: `dvc repro` goes on from it" in found


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
