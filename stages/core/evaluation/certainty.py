"""How sure a network is, and whether it may be: calibration of the top answer, refusals, prediction sets."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from stages.core.evaluation.scores import rounded

Floats = NDArray[np.floating[Any]]

BINS = 15
CELLS = 1000  # from 0 to 1, over which the smoothed error is summed
ANSWERED = [share / 50 for share in range(25, 51)]  # when the least sure of the images are refused
HELD = 0.99  # of the prediction sets shall hold the true class


def binned(confidence: Floats, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Images by confidence in equal bins, the empty ones left out."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "images": int(inside.sum()),
            "confidence": rounded(float(confidence[inside].mean())),
            "accuracy": rounded(float(right[inside].mean())),
        }
        for inside in (place == number for number in range(BINS))
        if inside.any()
    ]


def binned_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, by the images of each bin."""
    rows = binned(confidence, right)
    return rounded(sum(row["images"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / len(right))


def smooth_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The same without bins, smoothed as wide as the error is large, so that nobody chooses a width.

    Błasiok, J. and Nakkiran, P. (2023), arXiv 2309.12236.
    """
    place = np.minimum((confidence * CELLS).astype(int), CELLS - 1)
    apart = np.bincount(place, weights=right - confidence, minlength=CELLS) / len(right)

    def smoothed(width: float) -> float:
        return float(np.abs(gaussian_filter1d(apart, width * CELLS, mode="reflect", truncate=5)).sum())

    low, high = 1 / CELLS, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if smoothed(middle) > middle else (low, middle)
    return rounded(smoothed(high))


def coverage(confidence: Floats, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """The accuracy on what is answered when so many of the least sure are refused."""
    surest = right[np.argsort(-confidence, kind="stable")]
    counts = [max(1, round(share * len(right))) for share in ANSWERED]
    return [
        {"answered": share, "images": count, "accuracy": rounded(float(surest[:count].mean()))}
        for share, count in zip(ANSWERED, counts, strict=True)
    ]


def threshold(probabilities: Floats, labels: NDArray[Any]) -> float:
    """The probability from which a class belongs to the set, so that it holds the true one (split conformal).

    0, which lets every class in, where the images are too few to promise anything less.
    """
    of_true = np.sort(probabilities[np.arange(len(labels)), labels])
    left_out = math.floor((len(labels) + 1) * (1 - HELD) + 1e-9)
    return float(of_true[left_out - 1]) if left_out else 0.0


def measure(logits: Floats, probabilities: Floats, labels: NDArray[Any], least: float) -> dict[str, Any]:
    """Of the test images; the threshold of the sets came from others."""
    confidence, right = top(probabilities, logits, labels)
    sets = probabilities >= least
    return {
        "binned_error": binned_error(confidence, right),
        "smooth_error": smooth_error(confidence, right),
        "accuracy_of_surest_90": next(row["accuracy"] for row in coverage(confidence, right) if row["answered"] == 0.9),
        "set_size": rounded(float(sets.sum(axis=1).mean())),
        "set_holds": rounded(float(sets[np.arange(len(labels)), labels].mean())),
    }


def top(probabilities: Floats, logits: Floats, labels: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """How sure the answer to each image is, and whether it is right."""
    best = logits.argmax(axis=1)
    confidence: Floats = probabilities[np.arange(len(labels)), best].astype(np.float64)
    return confidence, best == labels
