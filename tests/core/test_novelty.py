"""How far an image lies from what a network was trained on."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from serve.inference.model import Model
from stages.core.data.datasets import LabelledImages
from stages.core.networks import networks
from stages.core.networks.networks import Network
from stages.core.onnx import novelty, onnx_file
from stages.core.onnx.novelty import Novelty
from tests.workspace import easy_images


@pytest.fixture(scope="module", params=[("lenet_28", (6, 16)), ("lenet_28", (6,)), ("mlp_64_128", None)], ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    """The middle of the first and the last is a dense layer, of the second a map."""
    torch.manual_seed(1)
    name, filters = request.param
    layers = {"widths": (64, 32)} if filters is None else {"filters": filters, "widths": (20,)[: len(filters) - 1]}
    return networks.build(name, (1, 28, 28), 10, **layers).eval()


def labelled(count: int, seed: int) -> LabelledImages:
    images, labels = easy_images(count, seed)
    return LabelledImages(images[:, np.newaxis], labels)


@pytest.fixture(scope="module")
def fitted(network: Network) -> Novelty:
    return Novelty.fit(network, labelled(400, 0), labelled(200, 1).images)


def test_the_graph_gives_what_was_fitted(network: Network, fitted: Novelty) -> None:
    session = onnxruntime.InferenceSession(onnx_file.to_onnx(network, 2.0, fitted).SerializeToString())
    images = np.concatenate(
        [labelled(50, 2).images, np.random.default_rng(0).integers(0, 256, (9, 1, 28, 28), np.uint8)]
    )
    [given] = session.run(["novelty"], {"image": images})
    wanted = fitted.of(novelty.features(network, fitted.layer, images))
    assert given[:, 0] == pytest.approx(wanted, rel=0.01, abs=0.01)


def test_it_is_the_distance_of_mahalanobis_to_the_nearest_class(network: Network, fitted: Novelty) -> None:
    train, others = labelled(400, 0), labelled(20, 3)
    seen, asked = (novelty.features(network, fitted.layer, each.images) for each in (train, others))
    means = np.stack([seen[train.labels == label].mean(0) for label in range(10)])
    spread = seen - means[train.labels]
    deviation = np.maximum(spread.std(0), novelty.LEAST * spread.std(0).max())
    covariance = spread.T @ spread / len(seen) + novelty.SHRINKAGE * np.diag(deviation**2)
    apart = asked[:, np.newaxis] - means
    distances = np.einsum("nci,nci->nc", apart, np.linalg.solve(covariance, apart[..., np.newaxis])[..., 0])
    assert fitted.of(asked) * fitted.limit == pytest.approx(distances.min(1), rel=0.01)  # of 16 bits


def test_strange_images_are_doubted_and_those_of_the_set_hardly(
    network: Network, fitted: Novelty, tmp_path: Path
) -> None:
    path = tmp_path / "some.onnx"
    path.write_bytes(onnx_file.to_onnx(network, 1.0, fitted).SerializeToString())
    model, noise = Model.load(path), np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), np.uint8)
    assert np.mean(np.array(model.predict(noise).doubts, bool)) == 1
    assert np.mean(np.array(model.predict(labelled(400, 4).images).doubts, bool)) < 0.06


def test_a_file_without_it_doubts_nothing(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "some.onnx"
    path.write_bytes(onnx_file.to_onnx(network).SerializeToString())
    assert Model.load(path).predict(labelled(2, 0).images).doubts == [None, None]
