"""Test images of MNIST whose label most of five people did not confirm, by their place in the original file.

cleanlab/label-errors, mnist_mturk.json: of the 100 that it suspects these lost the majority. A network that is told
wrong on one of them may have read it as people do.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MNIST = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
WHOLE = 10_000  # images of the original test set, whose order `split` keeps where it takes none away


def among(wrong: NDArray[np.bool_], metadata: Mapping[str, Any]) -> dict[str, int] | None:
    """How many of the wrong answers, image by image, are to disputed labels; None where none is known."""
    if metadata["dataset"] != "mnist" or len(wrong) != WHOLE:
        return None
    return {"images": len(MNIST), "mistakes": int(wrong[list(MNIST)].sum())}
