"""The table of layers of a network, by the formula of the course: O = (W − F + 2P) / S + 1."""

from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn

from stages.core.networks.networks import Shape


@dataclass(frozen=True)
class LayerRow:
    """One line of the table of layers. Shapes leave out N; `macs` are multiply-accumulates."""

    layer: str
    kind: str
    input: Shape
    output: Shape
    kernel: int | None
    stride: int | None
    padding: int | None
    parameters: int
    macs: int


def describe(network: nn.Module, shape: Shape) -> list[LayerRow]:
    """The layers of any network, in the order in which an image of that shape meets them."""
    rows: list[LayerRow] = []
    hooks = [
        layer.register_forward_hook(partial(_note, rows, name))
        for name, layer in network.named_modules()
        if not list(layer.children())
    ]
    was_training = network.training
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, *shape))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return rows


def _note(
    rows: list[LayerRow], name: str, layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> None:
    outgoing = tuple(output.shape[1:])
    weight = getattr(layer, "weight", None)
    per_output = prod(weight.shape[1:]) if weight is not None and weight.dim() > 1 else 0
    rows.append(
        LayerRow(
            layer=name,
            kind=type(layer).__name__,
            input=tuple(inputs[0].shape[1:]),
            output=outgoing,
            kernel=_side(layer, "kernel_size"),
            stride=_side(layer, "stride"),
            padding=_side(layer, "padding"),
            parameters=sum(weight.numel() for weight in layer.parameters() if weight.requires_grad),
            macs=per_output * prod(outgoing),
        )
    )


def _side(layer: nn.Module, attribute: str) -> int | None:
    value = getattr(layer, attribute, None)
    return value[0] if isinstance(value, tuple) else value


def layer_table(network: nn.Module, shape: Shape) -> list[dict[str, Any]]:
    return [asdict(row) for row in describe(network, shape)]
