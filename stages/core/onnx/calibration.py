"""The temperature by which a network's logits are divided so that it is as sure as it is right.

Guo, C. et al. (2017), On Calibration of Modern Neural Networks.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LEAST = 50  # images
LIMIT = math.log(20)


def temperature(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Of the least cross-entropy on images that trained nothing: above 1 the network was too sure.

    One mistake more than was made, of the likeliest kind, stands for those that so few images may not show: without
    it a network that makes none would be sure of anything. 1 where there are too few images to fit one.
    """
    if len(labels) < LEAST:
        return 1.0
    rows, wide = np.arange(len(labels)), logits.astype(np.float64)

    def loss(log: float) -> float:
        shares = log_softmax(wide / math.exp(log), axis=1)
        return float(-shares[rows, labels].sum() - np.partition(shares, -2, axis=1)[:, -2].mean())

    found = minimize_scalar(loss, bounds=(-LIMIT, LIMIT), method="bounded")
    return float(f"{math.exp(found.x):.3g}")
