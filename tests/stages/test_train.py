import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

from stages import train
from stages.core.cli import files, params
from stages.core.cli.paths import WEIGHTS
from stages.core.data import datasets
from stages.core.training import checkpoint
from stages.core.training.checkpoint import CHECKPOINTS, Checkpoints
from stages.core.training.trainer import Trainer
from tests.workspace import ROOT, Workspace, publish_split, shell

NETWORK = "mlp_64_128"
SMALL = {"models__mlp_64_128__epochs": 3, "models__mlp_64_128__batch_size": 16, "models__mlp_64_128__optimizer": "adam"}

UNRECORDED = "from tests.workspace import Unrecorded; from stages import train; train.LiveRun = Unrecorded"


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """Split and set for a training of a moment."""
    publish_split()
    workspace.set(**SMALL)
    return workspace


def published(workspace: Workspace) -> dict[str, bytes]:
    return {name: data for name, data in workspace.files().items() if name.startswith("weights")}


def fingerprint() -> str:
    found: str = train.shaping(NETWORK, params.load(), datasets.metadata())["fingerprint"]
    return found


def kill_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies as soon as the checkpoint of that epoch is on disk."""
    save = Checkpoints.save

    def save_and_die(checkpoints: Checkpoints, trainer: Trainer) -> None:
        save(checkpoints, trainer)
        if len(trainer.history.epochs) == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_and_die)


def test_a_training_leaves_weights_history_and_what_shaped_it(ready: Workspace) -> None:
    assert ready.run("train", NETWORK).code == 0
    folder = WEIGHTS / NETWORK
    assert sorted(path.name for path in folder.iterdir()) == [
        "epochs.csv",
        "steps.csv",
        "training.json",
        "weights.safetensors",
    ]
    record = json.loads((folder / "training.json").read_text())
    assert record["network"] == NETWORK
    assert record["recipe"]["epochs"] == record["epochs"] == 3
    assert record["dataset_sha256"] == datasets.metadata()["sha256"]
    assert (record["accelerator"], record["threads"], record["seed"]) == ("cpu", 1, 123)
    assert record["fingerprint"] == fingerprint()
    epochs = files.read_csv(folder / "epochs.csv")
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    best = min(epochs, key=lambda row: float(row["validation_loss"]))
    assert record["best_epoch"] == int(best["epoch"])
    assert len(files.read_csv(folder / "steps.csv")) == 3 * 7


def test_the_weights_are_those_of_the_network_on_the_cpu_in_float32(ready: Workspace) -> None:
    ready.run("train", NETWORK)
    weights = load_file(WEIGHTS / NETWORK / "weights.safetensors")
    assert sum(array.size for array in weights.values()) == 59_850
    assert {str(array.dtype) for array in weights.values()} == {"float32"}
    assert sorted(weights) == [f"fc{number}.{part}" for number in (1, 2, 3) for part in ("bias", "weight")]


def test_outside_a_terminal_each_epoch_is_a_line(ready: Workspace) -> None:
    outcome = ready.run("train", NETWORK)
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == [f"{NETWORK} epoch {n}/3" for n in (1, 2, 3)]
    assert outcome.err == ""


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_training_twice_gives_the_same_bytes(ready: Workspace, optimizer: str) -> None:
    ready.set(models__mlp_64_128__optimizer=optimizer)
    ready.run("train", NETWORK)
    first = published(ready)
    torch.rand(3)  # whatever was drawn before
    ready.run("train", NETWORK)
    assert published(ready) == first


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(ready: Workspace) -> None:
    """And a folder whose name has spaces and accents makes no difference."""
    ready.run("train", NETWORK)
    first = published(ready)
    elsewhere = ready.root / "otro año"
    (elsewhere / "data").mkdir(parents=True)
    Path("data/split").rename(elsewhere / "data" / "split")
    Path("params.yaml").rename(elsewhere / "params.yaml")
    script = f"{UNRECORDED}; train.main({NETWORK!r})"
    outcome = shell("-W", "error", "-c", script, cwd=elsewhere)
    assert (outcome.code, outcome.err) == (0, "")
    assert {path.name: path.read_bytes() for path in (elsewhere / WEIGHTS / NETWORK).iterdir()} == {
        Path(name).name: data for name, data in first.items()
    }


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("network", [NETWORK, "dropout_cnn"])
def test_a_killed_training_goes_on_to_the_same_bytes(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch, network: str, epoch: int
) -> None:
    ready.set(models__dropout_cnn__epochs=3, models__dropout_cnn__filters=[4, 4], models__dropout_cnn__widths=[16])
    ready.run("train", network)
    unbroken = published(ready)
    with monkeypatch.context() as dying:
        kill_after(epoch, dying)
        (WEIGHTS / network).rename("aside")
        assert ready.run("train", network).code == 130
    assert published(ready) == {}
    assert f"{network}: going on after epoch {epoch} of 3" in ready.run("train", network).out
    assert published(ready) == unbroken


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_real_kill_9_at_some_moment_changes_nothing(ready: Workspace) -> None:
    """In a process of its own, some time after its first checkpoint: in an epoch, or while one is written."""
    ready.set(models__mlp_64_128__epochs=60)
    script = f"{UNRECORDED}; train.main({NETWORK!r})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.DEVNULL)
    folder = CHECKPOINTS / fingerprint()
    while not list(folder.glob("[0-9]*.safetensors")):
        assert running.poll() is None
        time.sleep(0.002)
    time.sleep(0.013)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    assert published(ready) == {}
    assert "going on after epoch" in ready.run("train", NETWORK).out
    killed = published(ready)
    ready.run("train", NETWORK)
    assert published(ready) == killed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_training_that_is_told_to_end_says_how_far_it_is_kept(ready: Workspace) -> None:
    ready.set(models__mlp_64_128__epochs=60)
    command = [sys.executable, "-m", "stages.train", NETWORK]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    folder = CHECKPOINTS / fingerprint()
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=PIPE, text=True) as running:
        while not list(folder.glob("[0-9]*.safetensors")):
            assert running.poll() is None
            time.sleep(0.002)
        running.terminate()
        said = running.communicate(timeout=10)[1]
    kept = int(max(folder.iterdir()).name.split("-")[0])
    assert running.returncode == 128 + signal.SIGTERM
    assert said == f"interrupted: `dvc repro` goes on after epoch {kept}\n"
    assert published(ready) == {}
    assert list(Path().rglob("*.partial")) == []
    assert f"{NETWORK}: going on after epoch {kept} of 60" in ready.run("train", NETWORK).out


def test_a_training_interrupted_in_its_first_epoch_begins_again(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupt)
    assert ready.run("train", NETWORK) == (130, "", "interrupted: `dvc repro` begins again\n")


def test_a_kill_while_publishing_repeats_no_epoch(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.run("train", NETWORK)
    unbroken = published(ready)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(train, "publish", die)
        assert ready.run("train", NETWORK).code == 130
    outcome = ready.run("train", NETWORK)
    assert outcome.out == f"{NETWORK}: going on after epoch 3 of 3\n"
    assert published(ready) == unbroken


def test_a_finished_training_leaves_no_checkpoint(ready: Workspace) -> None:
    ready.run("train", NETWORK)
    assert [path for path in CHECKPOINTS.rglob("*") if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 124},
        {"threads": 2},
        {"models__mlp_64_128__lr": 0.002},
        {"models__mlp_64_128__epochs": 4},
        {"models__mlp_64_128__batch_size": 17},
        {"models__mlp_64_128__optimizer": "sgd"},
        {"models__mlp_64_128__shuffle": True},
        {"models__mlp_64_128__loss": "mse"},
        {"models__mlp_64_128__widths": [64, 64]},
        {"models__mlp_64_128__patience": 1},
        {"models__mlp_64_128__schedule": "linear_warmup_decay"},
        {"models__mlp_64_128__label_smoothing": 0.1},
        {"models__mlp_64_128__average": 1.0},
        {"models__mlp_64_128__augment": {"digits": {"shift": 1.0}}},
        {"compute__cpu__layout": "contiguous"},
    ],
    ids=lambda change: next(iter(change)).rpartition("__")[2],
)
def test_with_other_parameters_a_training_starts_afresh(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    with monkeypatch.context() as dying:
        kill_after(1, dying)
        ready.run("train", NETWORK)
    before = fingerprint()
    ready.set(**change)
    assert fingerprint() != before
    assert "going on" not in ready.run("train", NETWORK).out


@pytest.mark.parametrize("change", [{"language": "es"}, {"models__conv_net__lr": 0.1}, {"digits__augmented_copies": 1}])
def test_what_does_not_shape_the_weights_does_not_change_the_fingerprint(
    ready: Workspace, change: dict[str, Any]
) -> None:
    before = fingerprint()
    ready.set(**change)
    assert fingerprint() == before


def test_other_data_change_the_fingerprint(ready: Workspace) -> None:
    before = fingerprint()
    publish_split(train=101)
    assert fingerprint() != before


@pytest.fixture
def code(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our code, of which the fingerprint is then."""
    shutil.copytree(train.ROOT / "stages", "stages")
    monkeypatch.setattr(train, "ROOT", Path().absolute())
    return Path("stages")


@pytest.mark.parametrize(
    "name",
    [
        "train.py",
        "core/data/settings.py",
        "core/networks/networks.py",
        "core/training/history.py",
        "core/training/accelerator.py",
    ],
)
def test_a_comment_in_code_that_shapes_the_weights_changes_the_fingerprint(code: Path, name: str) -> None:
    before = fingerprint()
    with (code / name).open("a") as file:
        file.write("# a comment\n")
    assert fingerprint() != before


@pytest.mark.parametrize("name", ["core/cli/errors.py", "core/cli/command.py", "core/tracking/live.py", "export.py"])
def test_a_comment_in_other_code_does_not(code: Path, name: str) -> None:
    before = fingerprint()
    with (code / name).open("a") as file:
        file.write("# a comment\n")
    assert fingerprint() == before


def test_a_checkout_with_other_ends_of_lines_has_the_same_fingerprint(code: Path) -> None:
    before = fingerprint()
    for path in code.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert fingerprint() == before


def test_lenet_32_gets_its_size_from_a_split_of_another(ready: Workspace) -> None:
    ready.set(models__lenet_32__epochs=1)
    assert ready.run("train", "lenet_32").code == 0
    weights = load_file(WEIGHTS / "lenet_32" / "weights.safetensors")
    assert weights["fc1.weight"].shape == (120, 400)


def test_the_weights_of_the_best_epoch_are_published(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = WEIGHTS / NETWORK / "weights.safetensors"
    ready.set(models__mlp_64_128__epochs=2)
    ready.run("train", NETWORK)
    after_two = path.read_bytes()
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr("stages.core.training.trainer.evaluate", lambda *_: (next(losses), 0.5))
    ready.set(models__mlp_64_128__epochs=3)
    ready.run("train", NETWORK)
    assert path.read_bytes() == after_two


def test_patience_ends_a_training_early(ready: Workspace) -> None:
    ready.set(models__mlp_64_128__patience=1, models__mlp_64_128__epochs=200, models__mlp_64_128__lr=0.1)
    ready.run("train", NETWORK)
    record = json.loads((WEIGHTS / NETWORK / "training.json").read_text())
    assert record["epochs"] < 200
    assert record["best_epoch"] == record["epochs"] - 1


def test_only_what_is_needed_is_in_a_checkpoint(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_after(1, monkeypatch)
    ready.run("train", NETWORK)
    (path,) = (CHECKPOINTS / fingerprint()).iterdir()
    with checkpoint.safe_open(path, framework="pt") as file:
        groups = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118  not a dict
    assert groups == {"network", "best", "optimizer", "random"}


@pytest.fixture
def as_if_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process held the lock when we came."""
    training_lock = checkpoint.training_lock

    @contextlib.contextmanager
    def waited(network: str) -> Iterator[bool]:
        with training_lock(network):
            yield True

    monkeypatch.setattr(train, "training_lock", waited)


def test_what_the_other_process_published_is_not_trained_again(ready: Workspace, as_if_waited: None) -> None:
    ready.run("train", NETWORK)
    first = published(ready)
    outcome = ready.run("train", NETWORK)
    assert outcome.out == f"{NETWORK}: the other process has published this very training\n"
    assert (outcome.code, published(ready)) == (0, first)


@pytest.mark.parametrize("lost", ["weights.safetensors", "training.json", "epochs.csv", "steps.csv"])
def test_what_the_other_process_did_not_leave_whole_is_trained(ready: Workspace, as_if_waited: None, lost: str) -> None:
    ready.run("train", NETWORK)
    first = published(ready)
    (WEIGHTS / NETWORK / lost).unlink()
    assert "epoch 3/3" in ready.run("train", NETWORK).out
    assert published(ready) == first


def test_another_training_of_the_other_process_is_replaced(ready: Workspace, as_if_waited: None) -> None:
    ready.run("train", NETWORK)
    ready.set(seed=124)
    assert "epoch 3/3" in ready.run("train", NETWORK).out
    assert json.loads((WEIGHTS / NETWORK / "training.json").read_text())["seed"] == 124


def test_without_waiting_a_training_is_repeated(ready: Workspace) -> None:
    ready.run("train", NETWORK)
    assert "epoch 3/3" in ready.run("train", NETWORK).out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
@pytest.mark.parametrize("lr", [0.001, 0.002], ids=["the same training", "another recipe"])
def test_two_trainings_of_one_network_leave_what_the_second_wanted(ready: Workspace, lr: float) -> None:
    """The first is stopped once it holds the lock, and goes on when the second waits for it."""
    ready.set(models__mlp_64_128__epochs=2, models__mlp_64_128__lr=lr)
    ready.run("train", NETWORK)
    wanted = published(ready)
    ready.set(models__mlp_64_128__lr=0.001, models__mlp_64_128__epochs=2)
    script = f"{UNRECORDED}; train.main({NETWORK!r})"
    stopped = (
        f"{UNRECORDED}; import os, signal; go = train.publish; "
        f"train.publish = lambda *given: (os.kill(os.getpid(), signal.SIGSTOP), go(*given)); train.main({NETWORK!r})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, "-c", stopped], env=environment, stdout=subprocess.DEVNULL)
    os.waitpid(first.pid, os.WUNTRACED)
    ready.set(models__mlp_64_128__lr=lr)
    shutil.rmtree(WEIGHTS)  # as DVC does
    second = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert second.stdout
    assert "waiting for it to end" in second.stdout.readline()
    first.send_signal(signal.SIGCONT)
    said = second.communicate()[0]
    assert (first.wait(), second.returncode) == (0, 0)
    assert published(ready) == wanted
    assert ("has published this very training" in said) == (lr == 0.001)
