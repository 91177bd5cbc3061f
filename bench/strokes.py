"""A digit of MNIST as pen strokes: thinned to its skeleton, smoothed, bent as by another hand, drawn again."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Strokes(NamedTuple):
    points: Array  # [n, 2]: x and y, the longer side 1, centred on 0
    pairs: NDArray[np.intp]  # [m, 2]: which points are joined

    @classmethod
    def of(cls, digit: Bytes) -> Self:
        large = np.asarray(Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC)) > 110
        skeleton = np.pad(thin(large), 1)
        rows, columns = np.nonzero(skeleton)
        number = np.full(skeleton.shape, -1)
        number[rows, columns] = np.arange(len(rows))
        neighbours = [number[rows + y, columns + x] for y, x in ((0, 1), (1, -1), (1, 0), (1, 1))]
        pairs = np.concatenate([np.stack([number[rows, columns], other], 1) for other in neighbours])
        pairs = pairs[pairs[:, 1] >= 0]
        return cls(_centred(_smoothed(np.stack([columns, rows], 1).astype(float), pairs)), pairs)

    def bent(self, rng: np.random.Generator) -> Self:
        """Turned up to 10°, slanted, stretched and waved a little."""
        angle, slant, stretch = rng.uniform((-0.17, -0.15, -0.2), (0.17, 0.15, 0.25))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = self.points @ (turn @ np.array([[np.exp(stretch), slant], [0, 1]])).T
        for _ in range(2):
            points = points + 0.02 * np.sin(points @ rng.uniform(-4, 4, (2, 2)) + rng.uniform(0, 7, 2))
        return self._replace(points=_centred(points))

    def drawn(self, shape: tuple[int, int], middle: Array, length: float, pen: float, fine: int = 1) -> Array:
        """Ink in 0..1 on a page [H, W] of a round pen.

        Args:
            middle: x and y of the digit's centre, in pixels, as are its length and the pen.
            fine: pixels drawn for each of the page's, along a side; 1 for no anti-aliasing.
        """
        x, y = ((self.points * length + middle) * fine).T
        image, radius = Image.new("L", (shape[1] * fine, shape[0] * fine)), pen * fine / 2
        pencil = ImageDraw.Draw(image)
        for start, end in self.pairs:
            pencil.line((x[start], y[start], x[end], y[end]), 255, round(2 * radius))
        for left, top in zip(x - radius, y - radius, strict=True):
            if radius > 1:
                pencil.ellipse((left, top, left + 2 * radius, top + 2 * radius), 255)
        return np.asarray(image.reduce(fine), float) / 255


def _smoothed(points: Array, pairs: NDArray[np.intp]) -> Array:
    """Each point between its neighbours, the ends kept: pixels' steps become a line."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=len(points))[:, None]
    for _ in range(10):
        near = np.zeros_like(points)
        np.add.at(near, both[:, 0], points[both[:, 1]])
        points = np.where(degree > 1, (points + near / np.maximum(degree, 1)) / 2, points)
    return points


def _centred(points: Array) -> Array:
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - (low + high) / 2) / max(float((high - low).max()), 1e-6))


def thin(mask: Mask) -> Mask:
    """The mask peeled down to its skeleton (Zhang and Suen, 1984)."""
    mask, before = np.pad(mask, 1), 0
    while before != (before := int(mask.sum())):
        for removable in _REMOVABLE:
            around = np.zeros(mask.shape, np.uint8)
            for bit, step in enumerate(_AROUND):
                around |= np.roll(mask, step, (0, 1)).astype(np.uint8) << bit
            mask = mask & ~removable[around]
    return mask[1:-1, 1:-1]


_AROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # north, then clockwise


def _removable() -> tuple[Mask, Mask]:
    """For every neighbourhood (bits as in _AROUND) whether each of the two passes removes its pixel."""
    bits = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    north, east, south, west = bits[:, ::2].T
    count, starts = bits.sum(axis=1), (~bits & np.roll(bits, -1, axis=1)).sum(axis=1)
    edge = (starts == 1) & (count >= 2) & (count <= 6)
    return (
        edge & ~(north & east & south) & ~(east & south & west),
        edge & ~(north & east & west) & ~(north & south & west),
    )


_REMOVABLE = _removable()
