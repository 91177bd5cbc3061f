"""Our optimizers beside torch's own: the same weights to the bit, and no compiler imported."""

import pytest
import torch
from torch import Tensor, nn

from stages.core.training.optimizers import OPTIMIZERS, SCHEDULES
from tests.workspace import shell

THEIRS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 36, 4)).to(memory_format=torch.channels_last)


def loss(ours: nn.Module, step: int) -> Tensor:
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(step))
    return ours(images).square().mean()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_it_does_what_torch_does_to_the_bit(name: str, weight_decay: float) -> None:
    ours, other = network(), network()
    optimizer = OPTIMIZERS[name](list(ours.parameters()), weight_decay)
    reference = THEIRS[name](other.parameters(), lr=0.01, weight_decay=weight_decay, fused=True)
    for step in range(5):
        loss(ours, step).backward()
        optimizer.step(0.01)
        reference.zero_grad()
        loss(other, step).backward()
        reference.step()
    assert all(torch.equal(*pair) for pair in zip(ours.parameters(), other.parameters(), strict=True))


def test_a_step_forgets_its_gradients() -> None:
    ours = network()
    optimizer = OPTIMIZERS["adam"](list(ours.parameters()), 0.0)
    loss(ours, 0).backward()
    optimizer.step(0.1)
    assert [weight.grad for weight in ours.parameters()] == [None] * 4


def test_the_compiler_is_not_imported() -> None:
    """It takes longer than a short training."""
    code = """
import sys, torch
from stages.core.training import accelerator, optimizers
accelerator.make_deterministic(1, 1)
weight = torch.ones(3, requires_grad=True)
for optimizer in optimizers.OPTIMIZERS.values():
    weight.sum().backward()
    optimizer([weight], 0.0).step(0.1)
print([name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    assert shell("-c", code).out.strip() == "[]"


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_the_rate_is_never_above_the_one_that_was_set(name: str) -> None:
    rates = [SCHEDULES[name](done / 100) for done in range(101)]
    assert max(rates) == 1
    assert min(rates) >= 0
