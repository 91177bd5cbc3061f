"""What a person who watches a long stage sees: a bar on a terminal; elsewhere a line, of a training one per epoch."""

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from stages.core.training.trainer import Trainer

T = TypeVar("T")


def watched(items: Iterable[T], what: str, unit: str) -> Iterator[T]:
    is_terminal = sys.stderr.isatty()
    if not is_terminal:
        print(what, flush=True)
    total = len(items) if isinstance(items, Sized) else None
    yield from tqdm(items, what, total, unit=f" {unit}", disable=not is_terminal, leave=False)


class Progress(ExitStack):
    """Args: epochs: of the whole run, of which `done` are behind us already."""

    def __init__(self, network: str, epochs: int, done: int) -> None:
        super().__init__()
        self.network = network
        self.epochs = epochs
        if done:
            print(f"{network}: going on after epoch {done} of {epochs}", flush=True)
        bar = tqdm(total=epochs, initial=done, desc=network, unit="epoch", disable=not sys.stderr.isatty())
        self.bar = self.enter_context(bar)

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.bar.set_postfix_str(f"epoch {epoch}, step {step}, loss {loss:.4f}")

    def epoch(self, trainer: "Trainer") -> None:
        last = trainer.history.epochs[-1]
        self.bar.update()
        self.bar.write(
            f"{self.network} epoch {last.epoch}/{self.epochs}: "
            f"loss {last.train_loss:.4f}, accuracy {last.train_accuracy:.2%}; "
            f"validation loss {last.validation_loss:.4f}, accuracy {last.validation_accuracy:.2%}",
            file=sys.stdout,
        )
        sys.stdout.flush()
