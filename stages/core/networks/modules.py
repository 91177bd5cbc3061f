"""Layers of torch, for which there is a faster way on a CPU; elsewhere they are torch's own."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LARGE = 13  # pixels a side of a map, below which torch's own pooling is as fast


class Dropout(nn.Dropout):
    """nn.Dropout, whose share is taken to the nearest 1/256: a random byte a value is five times faster on a CPU."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or values.device.type != "cpu":
            return super().forward(values)
        draws = torch.empty((values.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        kept = round(256 * (1 - self.p))
        mask = torch.empty_like(values, requires_grad=False)
        torch.lt(draws[: values.numel()].view_as(values), kept, out=mask)
        return values * mask.mul_(256 / kept)


class Norm(nn.BatchNorm2d):
    """Batch normalisation with a bias and no scale of its own, so that export can fold it into the convolution
    before it even through a pooling: what never turns the order of values round commutes with a maximum."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, momentum=0.2)  # a run may have no more than some hundred steps
        self.weight.requires_grad_(False)


class MaxPool2d(nn.MaxPool2d):
    """nn.MaxPool2d, to the bit; of 2×2 on large maps it takes two thirds of the time on a CPU."""

    def forward(self, values: Tensor) -> Tensor:
        is_usual = self.kernel_size == self.stride == 2 and not self.padding and not self.ceil_mode
        is_large = min(values.shape[2:]) >= LARGE
        is_slow = values.device.type == "cpu" and not torch.compiler.is_compiling()
        if is_usual and is_large and is_slow and values.is_contiguous(memory_format=torch.channels_last):
            return cast(Tensor, _Halve.apply(values))
        return cast(Tensor, super().forward(values))


class _Halve(torch.autograd.Function):
    """The larger of left and right, then of upper and lower. Whole rows at once, where torch looks at each window and
    keeps an index of eight bytes for it; of equal values the first one counts, as there."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        left, right = _columns(values)
        ctx.is_left = torch.ge(left, right, out=torch.empty_like(left))
        upper, lower = _rows(torch.maximum(left, right))
        ctx.is_upper = torch.ge(upper, lower, out=torch.empty_like(upper))
        ctx.values = values.shape
        return torch.maximum(upper, lower)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        halved = torch.empty_like(ctx.is_left)
        _share(gradient, ctx.is_upper, *_rows(halved))
        whole = torch.empty(ctx.values, dtype=gradient.dtype, memory_format=torch.channels_last)
        whole[:, :, whole.shape[2] // 2 * 2 :] = 0  # the last row and column of an odd map are in no window
        whole[..., whole.shape[3] // 2 * 2 :] = 0
        _share(halved, ctx.is_left, *_columns(whole))
        return whole


def _columns(values: Tensor) -> tuple[Tensor, Tensor]:
    """Every other column, of the rows that are in a window."""
    rows, columns = (side // 2 * 2 for side in values.shape[2:])
    return values[:, :, :rows, 0:columns:2], values[:, :, :rows, 1:columns:2]


def _rows(values: Tensor) -> tuple[Tensor, Tensor]:
    return values[:, :, 0::2], values[:, :, 1::2]


def _share(gradient: Tensor, is_first: Tensor, first: Tensor, second: Tensor) -> None:
    """Into the one of each pair that was the larger, and 0 into the other."""
    torch.mul(gradient, is_first, out=first)
    torch.sub(gradient, first, out=second)
