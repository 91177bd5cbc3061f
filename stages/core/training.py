"""The one training loop: the whole set is one tensor, a batch is an index, the best epoch is kept."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.datasets import Labelled
from stages.core.errors import UserError
from stages.core.params import Recipe

EVALUATION_BATCH = 1000

Losses = dict[str, Callable[[Tensor, Tensor], Tensor]]


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error to the one-hot labels, as one of the courses shows it."""
    return functional.mse_loss(logits, functional.one_hot(labels, logits.shape[1]).to(logits.dtype))


LOSSES: Losses = {"cross_entropy": functional.cross_entropy, "mse": mse}
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Epoch:
    """Means over the images of an epoch; those of training are taken while the weights still move."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass
class History:
    """`steps` holds the loss of every batch; `best` is the number of the epoch with the lowest validation loss."""

    epochs: list[Epoch] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    @property
    def best(self) -> Epoch:
        return min(self.epochs, key=lambda epoch: epoch.validation_loss)

    def has_stalled(self, patience: int) -> bool:
        return 0 < patience <= len(self.epochs) - self.best.epoch

    def dump(self) -> str:
        return json.dumps({"epochs": [asdict(epoch) for epoch in self.epochs], "steps": self.steps})

    @classmethod
    def parse(cls, text: str) -> "History":
        held = json.loads(text)
        return cls([Epoch(**epoch) for epoch in held["epochs"]], held["steps"])


class Trainer:
    """A network, its optimizer and the state that a run is continued from.

    Args:
        network: already on the accelerator.
        seed: together with the number of an epoch, it fixes the order of that epoch's batches.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, seed: int, accelerator: str) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # convolutions and pooling are faster so
        self.recipe = recipe
        self.seed = seed
        self.accelerator = accelerator
        self.loss = LOSSES[recipe.loss]
        self.optimizer = OPTIMIZERS[recipe.optimizer](network.parameters(), lr=recipe.lr, fused=True)  # type: ignore[call-arg]
        self.history = History()
        self.best_weights: dict[str, Tensor] = {}

    def fit(
        self,
        train: Labelled,
        validation: Labelled,
        on_step: Callable[[int, int, float], None],
        on_epoch: Callable[["Trainer"], None],
    ) -> None:
        """Train to the last epoch of the recipe, or until patience runs out.

        Args:
            on_step: is told the epoch, the step in it, and the running loss.
            on_epoch: is called when an epoch is complete, for the checkpoint and the log.
        """
        images, labels = self._place(train)
        held_out = self._place(validation)
        while not self._is_done():
            number = len(self.history.epochs) + 1
            losses, correct = self._train_epoch(images, labels, number, on_step)
            validation_loss, validation_accuracy = evaluate(self.network, *held_out, self.loss)
            train_loss = _mean(losses, self.recipe.batch_size, len(labels))
            epoch = Epoch(number, train_loss, correct / len(labels), validation_loss, validation_accuracy)
            self._note(epoch, losses)
            on_epoch(self)

    def _is_done(self) -> bool:
        stalled = bool(self.history.epochs) and self.history.has_stalled(self.recipe.patience)
        return stalled or len(self.history.epochs) >= self.recipe.epochs

    def _place(self, labelled: Labelled) -> tuple[Tensor, Tensor]:
        """The set on the accelerator: uint8 images, which take a quarter of the room of floats."""
        images = torch.from_numpy(labelled.images).to(self.accelerator)
        return images, torch.from_numpy(labelled.labels).long().to(self.accelerator)

    def _train_epoch(
        self, images: Tensor, labels: Tensor, epoch: int, on_step: Callable[[int, int, float], None]
    ) -> tuple[list[float], int]:
        self.network.train()
        losses = []
        correct = torch.zeros((), dtype=torch.long, device=self.accelerator)
        for step, batch in enumerate(self._batches(len(labels), epoch)):
            logits = self.network(as_input(images[batch]))
            loss = self.loss(logits, labels[batch])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            correct += (logits.detach().argmax(1) == labels[batch]).sum()
            if step % 20 == 0:  # reading a value makes an accelerator wait
                on_step(epoch, step, float(losses[-1]))
        return torch.stack(losses).tolist(), int(correct)

    def _batches(self, count: int, epoch: int) -> Iterator[Tensor]:
        """Indices of each batch. Each epoch has a generator of its own, so that it can be repeated alone."""
        generator = torch.Generator().manual_seed(self.seed * 1_000 + epoch)
        order = torch.randperm(count, generator=generator) if self.recipe.shuffle else torch.arange(count)
        return iter(order.to(self.accelerator).split(self.recipe.batch_size))

    def _note(self, epoch: Epoch, losses: list[float]) -> None:
        if not all(map(math.isfinite, [*losses, epoch.validation_loss])):
            raise UserError(
                f"the loss of epoch {epoch.epoch} is not a number: lower lr (now {self.recipe.lr}) in params.yaml"
            )
        self.history.epochs.append(epoch)
        self.history.steps += losses
        if self.history.best is epoch:
            self.best_weights = {name: weights.detach().clone() for name, weights in self.network.state_dict().items()}


def as_input(images: Tensor) -> Tensor:
    """Pixels as the networks take them: from 0 to 1."""
    return images.float() / 255


@torch.inference_mode()
def evaluate(
    network: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[float, float]:
    """Loss and accuracy, each a mean over the images."""
    network.eval()
    total, correct = 0.0, 0
    for batch, wanted in zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        logits = network(as_input(batch))
        total += float(loss(logits, wanted)) * len(wanted)
        correct += int((logits.argmax(1) == wanted).sum())
    return total / len(labels), correct / len(labels)


def _mean(losses: list[float], batch_size: int, count: int) -> float:
    """The mean over images of means over batches, of which the last may be smaller."""
    last = count - batch_size * (len(losses) - 1)
    return (sum(losses[:-1]) * batch_size + losses[-1] * last) / count
