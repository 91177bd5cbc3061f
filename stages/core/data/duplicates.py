"""Images that stand in two sets, as they are or nearly."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.data import datasets
from stages.core.data.datasets import Array, LabelledImages

TINY = 8  # pixels a side at which pictures are compared first
TINY_LEVELS = 3  # from 0 to 255 that the tiny ones differ by at most (root of the mean square)
LEVELS = 12  # and the pictures themselves, on average
ROWS = 1_000  # pictures compared at once


def between(one: LabelledImages, other: LabelledImages) -> Iterator[tuple[str, str, str]]:
    """Of images whose files are known: name in one set, name in the other, and how alike they are."""
    if one.names is None or other.names is None:
        return
    tiny, others = _tiny(one.images), _tiny(other.images)
    for start in range(0, len(others), ROWS):
        some = others[start : start + ROWS]
        apart = (tiny**2).sum(1)[:, None] + (some**2).sum(1) - 2 * tiny @ some.T
        for row, column in np.argwhere(apart <= TINY_LEVELS**2 * tiny.shape[1]).tolist():
            here, there = one.images[row].astype(int), other.images[start + column].astype(int)
            difference = float(np.abs(here - there).mean())
            if difference <= LEVELS:
                how = "the same picture" if difference == 0 else "nearly the same picture"
                yield str(one.names[row]), str(other.names[start + column]), how


def _tiny(images: Array) -> NDArray[np.floating[Any]]:
    return datasets.resize(images, TINY).reshape(len(images), -1).astype(np.float64)
