"""The embedded digits, made as large as MNIST's and as sharp.

An image of theirs counts the ink in each 4×4 block of a bitmap of 32×32. Enlarging the counts gives grey fog where
MNIST has strokes, so the bitmap is sought that has these counts, and set as MNIST set its own.
"""

import numpy as np
from numpy.typing import NDArray

from serve.pictures.prepare import frame

BLOCK = 4  # pixels a side that were counted as one
SHARPNESS = 8  # steepness of the edges of ink, per pixel
ROUNDS = 10  # by then the counts agree to 0.5 %
FAINTEST = 0.1  # what is fainter is what sharpening left around an edge

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def enlarge(counts: NDArray[np.float64]) -> Bytes:
    """[N, 28, 28] from [N, 8, 8] of 0 to 16: the digits as they were written, framed as MNIST's are."""
    inks = bitmaps(counts / BLOCK**2)
    inks[inks < FAINTEST] = 0
    return np.stack([frame(np.rint(ink * 255).astype(np.uint8)) for ink in inks])


def bitmaps(shares: Floats) -> Floats:
    """[N, 40, 40], 0 to 1, an empty block all around: the smooth edges of ink that fill these shares of the blocks."""
    shares = np.pad(shares, ((0, 0), (1, 1), (1, 1)))
    blur = _gaussian(BLOCK * shares.shape[1])
    ink = _spread(shares)
    for _ in range(ROUNDS):
        ink = 1 / (1 + np.exp(SHARPNESS * (0.5 - blur @ ink @ blur)))
        ink += _spread(shares - _counted(ink))
    return ink.clip(0, 1)


def _gaussian(side: int) -> Floats:
    """[side, side]: each pixel of a line as the mean of those around it, with a standard deviation of one pixel."""
    distance = np.arange(side)[:, np.newaxis] - np.arange(side)
    weights = np.exp(-(distance**2) / 2)
    gaussian: Floats = weights / weights.sum(axis=1, keepdims=True)
    return gaussian


def _spread(blocks: Floats) -> Floats:
    return blocks.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2)


def _counted(ink: Floats) -> Floats:
    count, side, _ = ink.shape
    blocks: Floats = ink.reshape(count, side // BLOCK, BLOCK, side // BLOCK, BLOCK).mean(axis=(2, 4))
    return blocks
