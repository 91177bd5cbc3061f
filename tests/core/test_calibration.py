import numpy as np
import pytest
from scipy.special import softmax

from stages.core.evaluation import scores
from stages.core.onnx.calibration import temperature


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_logits_that_are_too_large_by_a_factor_have_it_as_their_temperature(factor: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)).astype(np.float32)
    labels = np.array([random.choice(4, p=row / row.sum()) for row in softmax(logits.astype(np.float64), axis=1)])
    assert temperature(np.float32(factor) * logits, labels) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_has_less_cross_entropy() -> None:
    random = np.random.default_rng(3)
    logits, labels = random.normal(size=(500, 5)).astype(np.float32), random.integers(0, 5, 500)
    logits[np.arange(500), labels] += 2
    found = temperature(logits, labels)
    least, *others = (scores.cross_entropy(logits / np.float32(found * by), labels) for by in (1, 0.9, 1.1))
    assert least < min(others)


def test_a_network_without_a_mistake_is_as_sure_as_so_few_images_allow() -> None:
    labels = np.arange(200) % 10
    logits = np.eye(10, dtype=np.float32)[labels]
    confidence = softmax(logits / temperature(logits, labels), axis=1).max(axis=1)
    assert confidence == pytest.approx(1 - 1 / 201, abs=1e-3)


def test_too_few_images_leave_the_logits_as_they_are() -> None:
    labels = np.arange(20) % 10
    assert temperature(3 * np.eye(10, dtype=np.float32)[labels], labels) == 1
