"""What a person watching a training sees: a bar on a terminal, a line per epoch elsewhere."""

import sys
from contextlib import ExitStack

from tqdm import tqdm

from stages.core.training.trainer import Trainer


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
