"""Other images of the same things, made afresh for every batch: small changes of place, shape and stroke.

The chance is drawn on the CPU for a whole epoch, so that every device and every size of batch gets the same.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import radians

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.data.settings import Augment

NODES = 5  # along each side of the sheet that is bent; what lies between them follows smoothly
DRAWN = {
    "stroke": 1,
    "hole": 2,
    "rotation": 1,
    "shear": 1,
    "scale": 2,
    "shift": 2,
    "horizontal_flip": 1,
    "bend": 2 * NODES**2,
}

Plan = tuple[Tensor, Tensor, Tensor]
"""Of N images: the mapping [N, 2, terms of `_sheet`], the stroke [N, 1] and the centre of the hole in pixels [N, 2]."""


def draw(count: int, generator: torch.Generator) -> Tensor:
    """[count, chances], from -1 to 1. An image takes as many whatever the settings, so that one leaves the others'."""
    return torch.rand(count, sum(DRAWN.values()), generator=generator) * 2 - 1


def plan(drawn: Tensor, settings: Augment, height: int, width: int) -> Plan:
    """What `draw` means for images of that size, evenly from minus to plus what the settings allow."""
    draws = dict(zip(DRAWN, drawn.split(list(DRAWN.values()), dim=1), strict=True))
    hole = (draws["hole"] + 1) / 2 * torch.tensor([width, height])
    return _mapping(draws, settings, height, width), settings.stroke * draws["stroke"], hole


def augment(images: Tensor, settings: Augment, generator: torch.Generator) -> Tensor:
    """Each image of [N, C, H, W] uint8, changed by chance: floats from 0 to 1 of the same shape."""
    planned = plan(draw(len(images), generator), settings, *images.shape[2:])
    return changed(images, settings, planned)


def changed(images: Tensor, settings: Augment, plan: Sequence[Tensor]) -> Tensor:
    """Each image, changed by its part of the plan.

    Batches that fit the processor's cache (up to some 300 images of 28×28) take half the time of larger ones.

    Args:
        images: [N, C, H, W] uint8, light on a ground of 0.
        plan: on the same device.

    Returns:
        The same shape on the same device, from 0 to 1.
    """
    mapping, stroke, hole = plan
    height, width = images.shape[2:]
    values = _with_stroke(images, stroke) if settings.stroke else images / 255
    with torch.autocast(images.device.type, enabled=False):  # a position needs more than the 8 bits of bf16
        grid = (mapping @ _sheet(height, width, images.device)).unflatten(2, (height, width))
        moved = functional.grid_sample(values, grid.permute(0, 2, 3, 1), align_corners=False)
    return _with_hole(moved, settings.random_erasing, hole) if settings.random_erasing else moved


def _mapping(draws: dict[str, Tensor], settings: Augment, height: int, width: int) -> Tensor:
    """[N, 2, terms]: how much each term of `_sheet` adds to x and y of where a pixel is fetched, from -1 to 1."""
    rotation, shear = radians(settings.rotation) * draws["rotation"], settings.shear * draws["shear"]
    wide, tall = (1 + settings.scale * draws["scale"]).split(1, dim=1)
    cos, sin = rotation.cos(), rotation.sin()
    across = torch.cat([cos / wide, (shear * cos - sin) / tall], dim=1)
    down = torch.cat([sin / wide, (shear * sin + cos) / tall], dim=1)
    bend = settings.elastic * draws["bend"].unflatten(1, (2, NODES**2))
    shift = settings.shift * draws["shift"].unsqueeze(2)
    mapping = torch.cat([torch.stack([across, down], dim=1), shift, bend], dim=2)
    mapping *= torch.tensor([2 / width, 2 / height]).unsqueeze(1)
    if settings.horizontal_flip:
        mapping[:, 0] *= torch.where(draws["horizontal_flip"] < 0, -1.0, 1.0)
    return mapping


@cache
def _sheet(height: int, width: int, device: torch.device) -> Tensor:
    """[terms, H·W]: x, y and 1 of every pixel, measured from the centre, and what it follows of each node."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    place = torch.stack([x - width / 2, y - height / 2, torch.ones(height, width)])
    nodes = torch.eye(NODES**2).view(-1, 1, NODES, NODES)
    followed = functional.interpolate(nodes, (height, width), mode="bicubic", align_corners=True).squeeze(1)
    return torch.cat([place, followed]).flatten(1).to(device)


def _with_stroke(images: Tensor, change: Tensor) -> Tensor:
    """From 0 to 1, strokes thicker by up to a pixel on each side (change 1), or thinner (-1)."""
    change = change.view(-1, 1, 1, 1)
    extreme = torch.where(change > 0, _spread(images, torch.maximum), _spread(images, torch.minimum))
    return torch.lerp(images.float(), extreme.float(), change.abs()) / 255


def _spread(images: Tensor, choose: Callable[..., Tensor]) -> Tensor:
    """Of each pixel and its four neighbours the one that is chosen."""
    spread = images.clone()
    for axis in (2, 3):
        pairs = images.shape[axis] - 1
        for to, start in ((1, 0), (0, 1)):
            here = spread.narrow(axis, to, pairs)
            choose(here, images.narrow(axis, start, pairs), out=here)
    return spread


def _with_hole(images: Tensor, side: float, centre: Tensor) -> Tensor:
    """A square of that many pixels a side, anywhere, turned to ground."""
    height, width = images.shape[2:]
    x, y = centre.split(1, dim=1)
    rows = (torch.arange(height, device=images.device) + 0.5 - y).abs() < side / 2
    columns = (torch.arange(width, device=images.device) + 0.5 - x).abs() < side / 2
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)
