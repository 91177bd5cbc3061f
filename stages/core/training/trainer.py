"""The one training loop: the whole set is one tensor, a batch is an index, the best epoch is kept."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.cli.errors import UserError
from stages.core.data.augment import changed, draw, plan
from stages.core.data.datasets import LabelledImages
from stages.core.data.settings import Augment
from stages.core.networks.networks import Network
from stages.core.training.graph import GraphedStep, Step
from stages.core.training.history import Epoch, History
from stages.core.training.optimizers import OPTIMIZERS, SCHEDULES
from stages.core.training.settings import Compute, Recipe

EVALUATION_BATCH = 1000
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

Loss = Callable[..., Tensor]
Rate = float | Tensor
"""A number on a CPU; elsewhere a tensor, which a graph reads afresh at each replay."""


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None = None) -> Tensor:
    return functional.cross_entropy(logits, labels, weights, label_smoothing=smoothing)


def mse(logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None = None) -> Tensor:
    """Mean squared error to the one-hot labels, as one of the courses shows it."""
    classes = logits.shape[1]
    wanted = functional.one_hot(labels, classes).to(logits.dtype) * (1 - smoothing) + smoothing / classes
    if weights is None:
        return functional.mse_loss(logits, wanted)
    of_each = weights[labels]
    return (functional.mse_loss(logits, wanted, reduction="none").mean(1) * of_each).sum() / of_each.sum()


def balancing(labels: Tensor, classes: int) -> Tensor:
    """[classes]: the rarer the higher, 1 on average over the images."""
    counts = torch.bincount(labels.cpu(), minlength=classes).clamp(min=1)
    return (len(labels) / (classes * counts)).float().to(labels.device)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse}


class Trainer:
    """A network, its optimizer and the state that a run is continued from.

    Args:
        network: already on the accelerator.
        seed: together with the number of an epoch, it fixes the order of that epoch's batches.
        compute: how that accelerator computes; its precision is resolved.
        changes: how images are changed, afresh for every batch.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        seed: int,
        accelerator: str,
        compute: Compute,
        changes: Augment | None = None,
    ) -> None:
        self.network = network.to(memory_format=LAYOUTS[compute.layout])
        self.forward: nn.Module = network.reordered()
        if compute.compile != "none":  # whole, or an error of the first step
            self.forward = cast(nn.Module, torch.compile(self.forward, mode=compute.compile, fullgraph=True))
        self.recipe = recipe
        self.changes = changes
        self.seed = seed
        self.accelerator = accelerator
        self.precision, self.compile = compute.precision, compute.compile
        self.loss = LOSSES[recipe.loss]
        self.weights: Tensor | None = None  # of the classes, in the loss
        learned = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = OPTIMIZERS[recipe.optimizer](learned, recipe.weight_decay)
        self.averaged = copy.deepcopy(network) if recipe.ema_epochs else network  # what is evaluated and kept
        self.history = History()
        self.best_weights: dict[str, Tensor] = {}
        self.graph = getattr(compute, "graph", False) and compute.compile == "none"
        self._take: Step | None = None

    def fit(
        self,
        train: LabelledImages,
        validation: LabelledImages,
        on_step: Callable[[int, int, float], None],
        on_epoch: Callable[["Trainer"], None],
    ) -> None:
        """Train to the last epoch of the recipe, or until patience runs out.

        Args:
            on_step: is told the epoch, the step in it, and the running loss.
            on_epoch: is called when an epoch is complete, for the checkpoint and the log.
        """
        if self.recipe.batch_size > len(train):
            raise UserError(
                f"batch_size is {self.recipe.batch_size} but the training set has {len(train)} images: "
                "lower it in params.yaml"
            )
        images, labels = self._place(train)
        held_out = self._place(validation)
        if self.recipe.class_weights == "balanced":
            self.weights = balancing(labels, self.network.output_shape()[0])
        while not self._is_done():
            number = len(self.history.epochs) + 1
            try:
                losses, correct = self._train_epoch(images, labels, number, on_step)
                validation_loss, validation_accuracy = evaluate(self.averaged, *held_out)
            except RuntimeError as error:
                raise self._not_compiled(error) or out_of_memory(error, self.recipe.batch_size) or error from None
            train_loss = _mean(losses, self.recipe.batch_size, len(labels))
            epoch = Epoch(number, train_loss, correct / len(labels), validation_loss, validation_accuracy)
            self._note(epoch, losses)
            on_epoch(self)

    def _is_done(self) -> bool:
        stalled = bool(self.history.epochs) and self.history.has_stalled(self.recipe.patience)
        return stalled or len(self.history.epochs) >= self.recipe.epochs

    def _not_compiled(self, error: RuntimeError) -> UserError | None:
        """What the user can do, if it was torch's compiler that gave up."""
        if self.compile == "none" or not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            return None
        reason = str(error).strip().splitlines()[0]
        return UserError(
            f"torch {torch.__version__} cannot compile this network as a whole ({reason}): "
            f"set compute.{self.accelerator}.compile: none in params.yaml"
        )

    def _place(self, labelled: LabelledImages) -> tuple[Tensor, Tensor]:
        """The set on the accelerator: uint8 images, which take a quarter of the room of floats."""
        images = torch.from_numpy(labelled.images).to(self.accelerator)
        return images, torch.from_numpy(labelled.labels).long().to(self.accelerator)

    def _train_epoch(
        self, images: Tensor, labels: Tensor, epoch: int, on_step: Callable[[int, int, float], None]
    ) -> tuple[list[float], int]:
        self.forward.train()
        take = self._graphed(images, labels)
        losses: list[Tensor] = []
        correct = torch.zeros((), dtype=torch.long, device=self.accelerator)
        with take.on_stream() if isinstance(take, GraphedStep) else nullcontext():
            for step, inputs in enumerate(self._inputs(len(labels), images.shape[2:], epoch)):
                loss, right = take(*inputs)
                losses.append(loss.clone())
                correct += right
                if step % 20 == 0:  # reading a value makes an accelerator wait
                    on_step(epoch, step, float(losses[-1]))
        return torch.stack(losses).tolist(), int(correct)

    def _graphed(self, images: Tensor, labels: Tensor) -> Step:
        """The step on that set, as a graph where there is one: the same over all epochs of it."""
        if self._take is None:
            step = partial(self._step, images, labels)
            self._take = GraphedStep(step, self.optimizer.zero_grad) if self.graph else step
        return self._take

    def _step(
        self, images: Tensor, labels: Tensor, batch: Tensor, lr: Rate, share: Rate, *plan: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Change the weights by a batch of indices; its loss, and how many of it were right.

        Nothing here waits for the accelerator or depends on a value, so that it can be captured.
        """
        wanted = labels[batch]
        inputs = changed(images[batch], self.changes, plan) if self.changes else as_input(images[batch])
        logits = self._logits(inputs)
        loss = self.loss(logits, wanted, self.recipe.label_smoothing, self.weights)
        loss.backward()
        self.optimizer.step(lr)
        self._average(share)
        return loss.detach(), (logits.detach().argmax(1) == wanted).sum()

    def _inputs(self, count: int, size: Sequence[int], epoch: int) -> Iterator[tuple[Any, ...]]:
        """Of each step of an epoch: the indices of its batch, learning rate, share of the average, plan of the changes.

        Drawn on the CPU, and uploaded at once to another accelerator.
        """
        random = torch.Generator().manual_seed(self.seed * 1_000 + epoch)  # an epoch's own: it can be repeated alone
        order = torch.randperm(count, generator=random) if self.recipe.shuffle else torch.arange(count)
        batches = order.to(self.accelerator).split(self.recipe.batch_size)
        rates = [self._learning_rate(epoch - 1 + step / len(batches)) for step in range(len(batches))]
        done = (epoch - 1) * len(batches)
        shares = [self._share(done + step, len(batches)) for step in range(1, len(batches) + 1)]
        if self.accelerator == "cpu":
            yield from zip(batches, rates, shares, *self._plans(count, size, random), strict=True)
        else:
            tensors = (torch.tensor(values, device=self.accelerator).unbind() for values in (rates, shares))
            yield from zip(batches, *tensors, *self._plans(count, size, random), strict=True)

    def _plans(self, count: int, size: Sequence[int], random: torch.Generator) -> list[Sequence[Tensor]]:
        """The parts of the plan, each by batches; none if images are not changed."""
        if not self.changes:
            return []
        drawn = draw(count, random)
        if self.accelerator == "cpu":  # while the numbers of a batch are in the cache
            plans = (plan(part, self.changes, *size) for part in drawn.split(self.recipe.batch_size))
            return list(zip(*plans, strict=True))
        whole = plan(drawn, self.changes, *size)
        return [part.to(self.accelerator).split(self.recipe.batch_size) for part in whole]

    def _logits(self, inputs: Tensor) -> Tensor:
        """In bf16 the layers compute in it where it is safe; weights and loss stay in fp32."""
        with torch.autocast(self.accelerator, torch.bfloat16, enabled=self.precision == "bf16"):
            logits: Tensor = self.forward(inputs)
        return logits.float()

    def _learning_rate(self, epochs: float) -> float:
        return self.recipe.lr * SCHEDULES[self.recipe.schedule](epochs / self.recipe.epochs)

    def _share(self, step: int, steps: int) -> float:
        """By which the averaged weights follow at that step: about the mean of the last `ema_epochs` epochs, and until
        so many are done of all there were, for the random weights of the start have no place in it."""
        return 1 / max(1.0, min(step, self.recipe.ema_epochs * steps))

    @torch.no_grad()
    def _average(self, share: Rate) -> None:
        if self.averaged is self.network:
            return
        kept, now = list(_values(self.averaged)), list(_values(self.network))
        if isinstance(share, float):
            torch._foreach_lerp_(kept, now, share)
        else:
            further = torch._foreach_sub(now, kept)
            torch._foreach_mul_(further, share)
            torch._foreach_add_(kept, further)

    def _note(self, epoch: Epoch, losses: list[float]) -> None:
        if not all(map(math.isfinite, [*losses, epoch.validation_loss])):
            raise UserError(
                f"the loss of epoch {epoch.epoch} is not a number: lower lr (now {self.recipe.lr}) in params.yaml"
            )
        self.history.epochs.append(epoch)
        self.history.steps += losses
        if self.history.best is epoch:
            weights = self.averaged.state_dict()
            self.best_weights = {name: weight.detach().clone() for name, weight in weights.items()}


def as_input(images: Tensor) -> Tensor:
    """Pixels as the networks take them: from 0 to 1."""
    return images.float() / 255


@torch.inference_mode()
def evaluate(network: Network, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Cross-entropy and accuracy, each a mean over the images; in fp32, as the exported network will answer.

    Plain cross-entropy whatever a network is trained by, so that networks compare.
    """
    network.eval()
    forward = network.reordered()
    total, correct = 0.0, 0
    for batch, wanted in zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        logits = forward(as_input(batch))
        total += float(functional.cross_entropy(logits, wanted)) * len(wanted)
        correct += int((logits.argmax(1) == wanted).sum())
    return total / len(labels), correct / len(labels)


def out_of_memory(error: RuntimeError, batch_size: int) -> UserError | None:
    """What the user can do, if it was memory that ran out."""
    if not isinstance(error, torch.OutOfMemoryError) and "alloc" not in str(error):
        return None
    return UserError(f"memory ran out: lower batch_size (now {batch_size}) or split.image_size in params.yaml")


def _values(network: nn.Module) -> Iterator[Tensor]:
    """Weights, and the running means and variances of normalisation."""
    yield from network.parameters()
    yield from (buffer for buffer in network.buffers() if buffer.is_floating_point())


def _mean(losses: list[float], batch_size: int, count: int) -> float:
    """The mean over images of means over batches, of which the last may be smaller."""
    last = count - batch_size * (len(losses) - 1)
    return (sum(losses[:-1]) * batch_size + losses[-1] * last) / count
