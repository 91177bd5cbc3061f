"""What a killed training goes on from: one file per epoch, private to the fingerprint of all that shaped it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stages.core.cli import files
from stages.core.cli.errors import UserError
from stages.core.training.history import History
from stages.core.training.trainer import Trainer

CHECKPOINTS = Path(".checkpoints")
KEPT = 2  # the newest, and the one before it should the newest be damaged


@contextmanager
def training_lock(network: str) -> Iterator[bool]:
    """Hold the lock of this network's training, which the system frees at our death; whether another had to end first.

    A training that goes on without its DVC would otherwise publish into the folder of the next one.
    """
    lock = FileLock(CHECKPOINTS / f"{network}.lock")
    try:
        CHECKPOINTS.mkdir(exist_ok=True)
        lock.acquire(timeout=0)
        waited = False
    except Timeout:
        print(f"{network} is being trained in another process: waiting for it to end", flush=True)
        lock.acquire()
        waited = True
    except OSError as error:
        raise UserError(f"cannot write {CHECKPOINTS}: {error.strerror}. Make it writable") from None
    try:
        yield waited
    finally:
        lock.release()


class Checkpoints:
    """Outside DVC's outputs, which DVC deletes before it runs a stage."""

    def __init__(self, fingerprint: str) -> None:
        self.folder = CHECKPOINTS / fingerprint

    def save(self, trainer: Trainer) -> None:
        """Name the file by its epoch and its bytes, so that a damaged one is known."""
        tensors, values = state(trainer)
        data = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, values)
        epoch = len(trainer.history.epochs)
        files.write(self.folder / f"{epoch:05d}-{files.sha256(data)[:16]}.safetensors", data)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def restore(self, trainer: Trainer) -> int:
        """Go on from the newest whole checkpoint; the number of epochs it holds, 0 if there is none."""
        for path in self._newest_first():
            if path.stem.rpartition("-")[2] != files.sha256(path.read_bytes())[:16]:
                print(f"{path.name} is damaged: left aside")
                continue
            try:
                with safe_open(path, framework="pt", device=trainer.accelerator) as file:
                    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
                    restore(trainer, tensors, file.metadata())
            except (OSError, SafetensorError):
                continue
            return len(trainer.history.epochs)
        return 0

    @contextmanager
    def report_on_interrupt(self) -> Iterator[None]:
        """Whoever interrupts a training learns how far it is kept."""
        try:
            yield
        except KeyboardInterrupt as interruption:
            kept = [int(path.name.split("-")[0]) for path in self._newest_first()]
            start = f"goes on after epoch {kept[0]}" if kept else "begins again"
            interruption.add_note(f"`dvc repro` {start}")
            raise

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True)


def state(trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All that shapes the rest of a run: tensors by name, and plain values."""
    tensors = {f"network.{name}": value for name, value in trainer.network.state_dict().items()}
    if trainer.averaged is not trainer.network:
        tensors |= {f"averaged.{name}": value for name, value in trainer.averaged.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in trainer.best_weights.items()}
    tensors |= {
        f"optimizer.{name}.{index}": value
        for name, values in trainer.optimizer.state.items()
        for index, value in enumerate(values)
    }
    tensors |= {f"random.{name}": value for name, value in _random_states(trainer.accelerator).items()}
    return tensors, {"history": trainer.history.dump()}


def restore(trainer: Trainer, tensors: dict[str, Tensor], values: dict[str, str]) -> None:
    trainer.history = History.parse(values["history"])
    trainer.network.load_state_dict(_under("network.", tensors))
    if trainer.averaged is not trainer.network:
        trainer.averaged.load_state_dict(_under("averaged.", tensors))
    trainer.best_weights = _under("best.", tensors)
    for name, own in trainer.optimizer.state.items():
        for index, value in enumerate(own):  # in place: a fused kernel wants it to lie in memory as the weights do
            value.copy_(tensors[f"optimizer.{name}.{index}"])
    for name, value in _under("random.", tensors).items():
        {"cpu": torch.set_rng_state, "cuda": torch.cuda.set_rng_state, "mps": torch.mps.set_rng_state}[name](
            value.cpu()
        )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _random_states(accelerator: str) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if accelerator == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    if accelerator == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states
