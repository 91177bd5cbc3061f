"""A training that is killed and goes on ends in the same bytes as one that was not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stages.core.cli.errors import UserError
from stages.core.training import checkpoint
from stages.core.training.checkpoint import Checkpoints, training_lock
from stages.core.training.trainer import Trainer
from tests.core.test_training import fit, trainer
from tests.workspace import Workspace

EPOCHS = 4
RECIPES = [
    ("mlp_64_128", {"optimizer": "sgd", "shuffle": True}),
    ("mlp_64_128", {"optimizer": "adam", "shuffle": False}),
    ("mlp_64_128", {"optimizer": "adamw", "shuffle": True}),
    ("dropout_cnn", {"filters": [4, 4], "widths": [16]}),
]
recipes = pytest.mark.parametrize(("network", "changes"), RECIPES, ids=["sgd", "adam", "adamw", "dropout"])


class Killed(Exception):
    pass


def killed_after(epoch: int, checkpoints: Checkpoints) -> Callable[[Trainer], None]:
    def on_epoch(running: Trainer) -> None:
        checkpoints.save(running)
        if len(running.history.epochs) == epoch:
            raise Killed

    return on_epoch


def broken_off(network: str, changes: dict[str, Any], epoch: int = 2) -> Checkpoints:
    """What a training leaves that was killed after that epoch, in a process that then did other things."""
    checkpoints = Checkpoints("some")
    with pytest.raises(Killed):
        fit(trainer(network, epochs=EPOCHS, **changes), epochs=killed_after(epoch, checkpoints))
    torch.manual_seed(999)
    return checkpoints


def outcome(running: Trainer) -> dict[str, Any]:
    """All that a training leaves, as plain values that compare exactly."""
    tensors, values = checkpoint.state(running)
    return {name: tensor.tolist() for name, tensor in tensors.items()} | dict(values)


def goes_on(network: str, changes: dict[str, Any], checkpoints: Checkpoints) -> dict[str, Any]:
    running = trainer(network, epochs=EPOCHS, **changes)
    checkpoints.restore(running)
    return outcome(fit(running))


@recipes
@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_a_training_goes_on_to_the_very_same_state(
    workspace: Workspace, network: str, changes: dict[str, Any], epoch: int
) -> None:
    unbroken = outcome(fit(trainer(network, epochs=EPOCHS, **changes)))
    checkpoints = broken_off(network, changes, epoch)
    assert goes_on(network, changes, checkpoints) == unbroken


@pytest.mark.parametrize(
    ("network", "changes", "lost"),
    [
        ("mlp_64_128", {"optimizer": "adam"}, "optimizer."),
        ("mlp_64_128", {"optimizer": "sgd"}, "network."),
        ("mlp_64_128", {"optimizer": "sgd", "lr": 10.0, "loss": "mse", "widths": [4]}, "best."),
        ("dropout_cnn", {"filters": [4, 4], "widths": [16]}, "random."),
    ],
)
def test_every_part_of_the_state_is_needed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, network: str, changes: dict[str, Any], lost: str
) -> None:
    """Proof that the test above has teeth: with one part forgotten, the outcome is another."""
    unbroken = outcome(fit(trainer(network, epochs=EPOCHS, **changes)))
    checkpoints = broken_off(network, changes)
    whole = checkpoint.restore

    def forgetful(running: Trainer, tensors: dict[str, Tensor], values: dict[str, str]) -> None:
        fresh = checkpoint.state(running)[0]
        kept = {name: value for name, value in tensors.items() if not name.startswith(lost)}
        whole(running, kept | {name: fresh[name] for name in fresh if name.startswith(lost)}, values)

    monkeypatch.setattr(checkpoint, "restore", forgetful)
    assert goes_on(network, changes, checkpoints) != unbroken


def test_what_is_restored_is_all_that_was_saved(workspace: Workspace) -> None:
    checkpoints = Checkpoints("some")
    first = fit(trainer("dropout_cnn", filters=[4, 4], widths=[16]), epochs=checkpoints.save)
    second = trainer("dropout_cnn", seed=1, filters=[4, 4], widths=[16])
    assert checkpoints.restore(second) == 2
    assert outcome(second) == outcome(first)


def test_nothing_is_resumed_where_nothing_was_saved(workspace: Workspace) -> None:
    running = trainer()
    assert Checkpoints("none").restore(running) == 0
    assert running.history.epochs == []


def test_a_checkpoint_of_another_fingerprint_is_never_seen(workspace: Workspace) -> None:
    fit(trainer(), epochs=Checkpoints("one").save)
    assert Checkpoints("another").restore(trainer()) == 0


def test_two_checkpoints_are_kept(workspace: Workspace) -> None:
    checkpoints = Checkpoints("some")
    fit(trainer(epochs=5), epochs=checkpoints.save)
    assert [path.name[:5] for path in sorted(checkpoints.folder.iterdir())] == ["00004", "00005"]


@pytest.mark.parametrize(
    "harm", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b"x"]
)
def test_a_damaged_checkpoint_is_left_aside_for_the_one_before(
    workspace: Workspace, harm: Callable[[bytes], bytes]
) -> None:
    network, changes = RECIPES[1]
    unbroken = outcome(fit(trainer(network, epochs=EPOCHS, **changes)))
    checkpoints = broken_off(network, changes, epoch=3)
    newest = max(checkpoints.folder.iterdir())
    newest.write_bytes(harm(newest.read_bytes()))
    running = trainer(network, epochs=EPOCHS, **changes)
    assert checkpoints.restore(running) == 2
    assert f"{newest.name} is damaged" in workspace.capsys.readouterr().out
    assert outcome(fit(running)) == unbroken


def test_with_all_checkpoints_damaged_a_training_starts_afresh(workspace: Workspace) -> None:
    network, changes = RECIPES[0]
    unbroken = outcome(fit(trainer(network, epochs=EPOCHS, **changes)))
    checkpoints = broken_off(network, changes, epoch=3)
    for path in checkpoints.folder.iterdir():
        path.write_bytes(b"x")
    assert goes_on(network, changes, checkpoints) == unbroken


def test_half_written_checkpoints_are_not_seen(workspace: Workspace) -> None:
    checkpoints = Checkpoints("some")
    checkpoints.folder.mkdir(parents=True)
    (checkpoints.folder / ".00001-0123.safetensors.77.partial").write_bytes(b"x")
    assert checkpoints.restore(trainer()) == 0


def test_deleted_checkpoints_are_gone(workspace: Workspace) -> None:
    checkpoints = Checkpoints("some")
    fit(trainer(), epochs=checkpoints.save)
    checkpoints.delete()
    assert not checkpoints.folder.exists()


def test_no_pickle_is_written(workspace: Workspace) -> None:
    checkpoints = Checkpoints("some")
    fit(trainer(), epochs=checkpoints.save)
    assert {path.suffix for path in checkpoints.folder.iterdir()} == {".safetensors"}


def test_a_second_training_waits_for_the_first(workspace: Workspace) -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with training_lock("some") as waited:
            assert not waited
            inside.set()
            leave.wait(10)
            order.append("first")

    def second() -> None:
        with training_lock("some") as waited:
            order.append(f"second, {waited}")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second, True"]
    assert "waiting for it to end" in workspace.capsys.readouterr().out


def test_others_are_not_waited_for(workspace: Workspace) -> None:
    with training_lock("one"), training_lock("another"):
        assert Path(".checkpoints").is_dir()


def test_a_folder_that_cannot_be_written_is_one_line(workspace: Workspace) -> None:
    Path(".checkpoints").touch()
    with pytest.raises(UserError, match=r"cannot write \.checkpoints: "), training_lock("one"):
        pass
