"""verify, trace, doctor and the end of a stage, held against DVC and MLflow themselves."""

import os
import random
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
from cifra import lockfile, verify
from tests.pipeline.conftest import Repository
from tests.recorded import flip_a_bit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NETWORK = "lenet_32"
STAGES = ["download", "split", "train", "export", "evaluate", "compare", "samples", "render"]


def test_what_dvc_recorded_is_verified(repository: Repository) -> None:
    assert "are as dvc.lock records them" in repository.run("python", "-m", "cifra.verify")


def test_a_flipped_bit_in_any_file_is_found_and_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every file of every output, at a random place."""
    monkeypatch.chdir(repository.path)
    chance = random.Random(0)
    outputs = [(stage, Path(out.path)) for stage in lockfile.load().values() for out in stage.outs]
    files = [(stage, path) for stage, out in outputs for path in [out, *out.rglob("*")] if path.is_file()]
    assert len(files) > 40
    for stage, path in files:
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        found = list(verify.check(stage))
        path.write_bytes(data)
        assert len(found) == 1, path
        assert found[0].startswith(f"{path} has changed: ")
        assert list(verify.check(stage)) == []


@pytest.mark.parametrize("name", [f"weights/{NETWORK}/weights.safetensors", "champion/champion.onnx"])
def test_what_verify_advises_mends_what_dvc_overlooks(repository: Repository, name: str) -> None:
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "cifra.verify", code=1).splitlines()[0]
    assert line.startswith(f"{name} has changed: delete ")
    output = line.removesuffix("`").rpartition(" ")[2]
    target = repository.path / output
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    repository.run("dvc", "checkout", "-q", output)
    repository.run("python", "-m", "cifra.verify")


@pytest.mark.parametrize("name", [f"metrics/{NETWORK}.json", "reports/comparison.csv"])
def test_what_dvc_leaves_to_git_comes_back_from_git(repository: Repository, name: str) -> None:
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "cifra.verify", code=1).splitlines()[0]
    assert line == f"{name} has changed: `git checkout {name}`"
    repository.run("git", "checkout", "-q", name)
    repository.run("python", "-m", "cifra.verify")


@pytest.mark.parametrize("network", ["mlp_64_128", NETWORK])
def test_what_git_does_not_hold_comes_back_by_repeating_the_stage(repository: Repository, network: str) -> None:
    name = f"metrics/{network}.json"
    repository.run("git", "rm", "-q", "--cached", name)
    flip_a_bit(repository.path / name)
    line = repository.run("python", "-m", "cifra.verify", code=1).splitlines()[0]
    assert line == f"{name} has changed: `dvc repro evaluate@{network}`"
    repository.run("dvc", "repro", f"evaluate@{network}")
    repository.run("python", "-m", "cifra.verify")
    repository.run("git", "add", name)


@pytest.mark.parametrize("stage", ["split", f"export@{NETWORK}", f"evaluate@{NETWORK}"])
def test_a_stage_that_is_repeated_makes_the_same_bytes(repository: Repository, stage: str) -> None:
    assert f"{stage}: the same bytes" in repository.run("python", "-m", "cifra.verify", "--again", stage)


# Files cannot grow beyond 100 bytes, which a program meets as it does a full disk.
FULL_DISK = f"""
import importlib, resource, signal, sys
sys.dont_write_bytecode = True
from stages.core.cli.command import command
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
stages = {{name: importlib.import_module("stages." + name) for name in {STAGES}}}
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for name, stage in stages.items():
    sys.argv = [name] + ["{NETWORK}"] * (name in ("train", "export", "evaluate"))
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


def test_every_link_of_the_champion_holds(repository: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "somewhere.onnx"
    shutil.copyfile(repository.path / "champion" / "champion.onnx", copy)
    said = repository.run("python", "-m", "cifra.trace", str(copy))
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
    found = long_training.run("python", "-m", "cifra.doctor", code=1)
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
