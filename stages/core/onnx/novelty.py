"""How far an image lies from all that a network was trained on: what is too far looks like none of its classes.

The classes are taken for normal distributions of features, with one covariance (Lee, K. et al., 2018, A Simple Unified
Framework for Detecting Out-of-Distribution Samples). How far is too far, images say that trained nothing.
"""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from stages.core.data.datasets import LabelledImages
from stages.core.networks.networks import Network, Shape
from stages.core.training.trainer import as_input

TRAINING = 10_000  # training images that say what the classes look like
KNOWN = 0.985  # share of the validation images that are none too novel: of others, somewhat fewer
LEAST = 0.01  # deviation of a feature, share of the largest: some units are silent
LARGEST = 6e4  # number in 16 bits
SHRINKAGE = 1e-3  # added to the correlations, of which few images give too few

Array = NDArray[np.float64]


class Novelty(NamedTuple):
    """(‖z‖² + least of z · `classes` + `offsets`) / `limit`, where z = features · `whitening` + `centre`."""

    layer: str
    """Whose maps, as means of their quarters, are the features beside the logits; of a dense layer all units."""
    shape: Shape  # of its output
    whitening: NDArray[np.float16]  # [features, features]
    centre: Array  # [features]
    classes: Array  # [features, classes]
    offsets: Array  # [classes]
    limit: float

    @classmethod
    def fit(cls, network: Network, train: LabelledImages, validation: NDArray[np.uint8]) -> Self:
        layer = middle(network)
        seen = features(network, layer, train.images[:TRAINING])
        present, labels = np.unique(train.labels[:TRAINING], return_inverse=True)
        means = np.stack([seen[labels == label].mean(0) for label in range(len(present))])
        spread = seen - means[labels]
        deviation = np.maximum(spread.std(0), max(LEAST * float(spread.std(0).max()), 1e-6))
        correlation = (spread / deviation).T @ (spread / deviation) / len(spread)
        lower = np.linalg.cholesky(correlation + SHRINKAGE * np.eye(len(correlation)))
        whitening = solve_triangular(lower, np.diag(1 / deviation), lower=True).T
        whitening = whitening.clip(-LARGEST, LARGEST).astype(np.float16)  # half of the bytes; it need not be exact
        centre = -seen.mean(0) @ whitening
        whitened = means @ whitening + centre
        found = cls(layer, shape_of(network, layer), whitening, centre, -2 * whitened.T, (whitened**2).sum(1), 1.0)
        distances = found.of(features(network, layer, validation))
        return found._replace(limit=max(float(np.quantile(distances, KNOWN)), 1e-6))

    def of(self, features: Array) -> Array:
        z = features @ self.whitening + self.centre
        distances: Array = ((z**2).sum(1) + (z @ self.classes + self.offsets).min(1)) / self.limit
        return distances


def middle(network: Network) -> str:
    """The activation two thirds of the way: it knows parts of digits, and still sees what else there is."""
    activations = [name for name, layer in network.named_children() if isinstance(layer, nn.ReLU | nn.Sigmoid)]
    return activations[2 * len(activations) // 3] if activations else next(iter(dict(network.named_children())))


def quarters(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and strides of a pooling that leaves 2×2."""
    kernel = -(-height // 2), -(-width // 2)
    return kernel, (max(1, height - kernel[0]), max(1, width - kernel[1]))


@torch.inference_mode()
def features(network: Network, layer: str, images: NDArray[np.uint8]) -> Array:
    return np.concatenate([_features(network, layer, batch) for batch in torch.from_numpy(images).split(500)])


def _features(network: Network, layer: str, images: Tensor) -> Array:
    outputs = outputs_of(network, as_input(images))
    kept, logits = outputs[layer], list(outputs.values())[-1]
    pooled = avg_pool2d(kept, *quarters(*kept.shape[2:])) if kept.dim() == 4 else kept
    return torch.cat([pooled.flatten(1), logits], 1).double().numpy()


def outputs_of(network: Network, values: Tensor) -> dict[str, Tensor]:
    """Of every layer, by its name."""
    return {name: (values := layer(values)) for name, layer in network.named_children()}


@torch.inference_mode()
def shape_of(network: Network, layer: str) -> Shape:
    return tuple(outputs_of(network, torch.zeros(1, *network.shape))[layer].shape[1:])
