"""SGD and Adam on torch's fused kernels, and the learning rate from step to step.

The same arithmetic as torch.optim with fused=True, to the bit. Not torch.optim itself, because that imports the
whole compiler on its first step (1.2 s of every training) and adds about 0.4 ms to every other one.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 0.25  # share of a one-cycle run in which the learning rate rises


class Optimizer:
    """`state` holds what the next step depends on beside the weights, by name."""

    def __init__(self, weights: Sequence[Tensor], weight_decay: float) -> None:
        self.weights = list(weights)
        self.weight_decay = weight_decay
        self.state: dict[str, list[Tensor]] = {}

    def step(self, lr: float | Tensor) -> None:
        """Change the weights by their gradients, and forget those.

        Args:
            lr: a tensor where the step is captured as a graph, which reads it afresh at each replay.
        """
        with torch.no_grad():
            self._update([weight.grad for weight in self.weights if weight.grad is not None], lr)
        self.zero_grad()

    def zero_grad(self) -> None:
        for weight in self.weights:
            weight.grad = None

    def _update(self, gradients: list[Tensor], lr: float | Tensor) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    def _update(self, gradients: list[Tensor], lr: float | Tensor) -> None:
        torch._fused_sgd_(
            self.weights, gradients, [],
            lr=lr, weight_decay=self.weight_decay, momentum=0.0, dampening=0.0, nesterov=False, maximize=False,
            is_first_step=False,
        )  # fmt: skip


class Adam(Optimizer):
    """β of 0.9 and 0.999. Weight decay is added to the gradient."""

    update: Callable[..., None] = staticmethod(torch._fused_adam_)

    def __init__(self, weights: Sequence[Tensor], weight_decay: float) -> None:
        super().__init__(weights, weight_decay)
        self.state = {
            "mean": [torch.zeros_like(weight) for weight in self.weights],
            "square": [torch.zeros_like(weight) for weight in self.weights],
            "step": [torch.zeros((), dtype=torch.float32, device=weight.device) for weight in self.weights],
        }

    def _update(self, gradients: list[Tensor], lr: float | Tensor) -> None:
        torch._foreach_add_(self.state["step"], 1)
        self.update(
            self.weights, gradients, self.state["mean"], self.state["square"], [], self.state["step"],
            lr=lr, beta1=0.9, beta2=0.999, weight_decay=self.weight_decay, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip


class AdamW(Adam):
    """Weight decay shrinks the weights directly."""

    update: Callable[..., None] = staticmethod(torch._fused_adamw_)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}

# The factor of the learning rate, by the share of the run that is done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear_warmup_decay": lambda done: min(done / WARM_UP, (1 - done) / (1 - WARM_UP)),
}
