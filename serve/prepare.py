"""Set pictures of digits the way MNIST set its own (LeCun et al., 1998)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ink = NDArray[np.floating[Any]] | NDArray[np.uint8]


def frame(ink: Ink, size: int = 28) -> NDArray[np.uint8]:
    """Cropped to its ink, fitted into the middle 20/28 of the frame, centre of mass at the centre.

    Args:
        ink: [H, W], light ink on a background of exactly 0, in any unit.

    Returns:
        [size, size], the strongest ink at 255; empty where there is no ink.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    framed = np.zeros((size, size), np.uint8)
    if not rows.size:
        return framed
    digit = _fit(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], round(size * 20 / 28))
    height, width = digit.shape
    top, left = (_offset(digit.sum(axis=axis), size) for axis in (1, 0))
    framed[top : top + height, left : left + width] = np.rint(digit * (255 / digit.max()))
    return framed


def _fit(ink: Ink, box: int) -> NDArray[np.float32]:
    scale = box / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    image = Image.fromarray(ink.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _offset(profile: NDArray[np.float32], size: int) -> int:
    """Where to put the first row (column) so that the centre of mass lies on index size / 2."""
    centre = float(profile @ np.arange(len(profile)) / profile.sum())
    return min(max(round(size / 2 - centre), 0), size - len(profile))
