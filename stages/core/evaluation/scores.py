"""How good a network is: shares with their intervals, and what it takes for what."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964  # two-sided 95 % of the normal distribution


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; (0, 1) of nothing.

    Wilson, E. B. (1927), Journal of the American Statistical Association 22, 209–212.
    """
    if count == 0:
        return 0.0, 1.0
    share = right / count
    spread = Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    centre = share + Z95**2 / (2 * count)
    scale = 1 + Z95**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def share(right: int, count: int) -> dict[str, float]:
    low, high = wilson(right, count)
    return {"accuracy": rounded(right / count if count else 0.0), "low": rounded(low), "high": rounded(high)}


def confusion(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """[classes, classes] counts: rows are the true classes, columns the answers."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def balanced(table: NDArray[np.int64]) -> dict[str, float]:
    """What a class counts is not how many images it has: mean of the classes' accuracies, and of their F1 scores."""
    right, images, said = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    either = images + said > 0
    return {
        "balanced_accuracy": rounded(float((right[images > 0] / images[images > 0]).mean())),
        "macro_f1": rounded(float((2 * right[either] / (images + said)[either]).mean())),
    }


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Mean over the images, in nats."""
    wide = logits.astype(np.float64)
    peak = wide.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(wide - peak).sum(axis=1)) + peak[:, 0]
    return rounded(float((log_total - wide[np.arange(len(labels)), labels]).mean()))


def rounded(value: float) -> float:
    """Six decimals: more than the data can tell, few enough to read."""
    return round(value, 6)
