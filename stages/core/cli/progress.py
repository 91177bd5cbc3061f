"""What a person watching a training sees: a bar on a terminal, a line per epoch elsewhere."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from stages.core.training.trainer import Trainer


class Progress:
    """Args: epochs: of the whole run, of which `done` are behind us already."""

    def __init__(self, network: str, epochs: int, done: int) -> None:
        self.network = network
        self.epochs = epochs
        if done:
            print(f"{network}: going on after epoch {done} of {epochs}", flush=True)
        self.bar = tqdm(total=epochs, initial=done, desc=network, unit="epoch", disable=not sys.stderr.isatty())

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.bar.set_postfix_str(f"epoch {epoch}, step {step}, loss {loss:.4f}")

    def epoch(self, trainer: Trainer) -> None:
        last = trainer.history.epochs[-1]
        self.bar.update()
        self.bar.write(
            f"{self.network} epoch {last.epoch}/{self.epochs}: "
            f"loss {last.train_loss:.4f}, accuracy {last.train_accuracy:.2%}; "
            f"validation loss {last.validation_loss:.4f}, accuracy {last.validation_accuracy:.2%}",
            file=sys.stdout,
        )
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()
