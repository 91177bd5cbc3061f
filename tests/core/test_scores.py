import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from stages.core.evaluation import scores


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (8, 10, 0.4902, 0.9433),
        (5, 10, 0.2366, 0.7634),
        (1, 1, 0.2065, 1.0),
        (950, 1000, 0.9347, 0.9619),
    ],
)
def test_wilson_intervals_are_the_known_ones(right: int, count: int, low: float, high: float) -> None:
    assert scores.wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_of_no_images() -> None:
    assert scores.share(0, 0) == {"accuracy": 0.0, "low": 0.0, "high": 1.0}


@given(st.integers(1, 10**6).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_share_lies_in_its_interval(case: tuple[int, int]) -> None:
    right, count = case
    low, high = scores.wilson(right, count)
    assert 0 <= low <= right / count + 1e-12
    assert right / count - 1e-12 <= high <= 1


def test_confusion_has_the_true_classes_as_rows() -> None:
    table = scores.confusion(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2]), 4)
    assert table.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("scale", [1, 30, 1e4])
def test_cross_entropy_is_that_of_torch(scale: float) -> None:
    random = np.random.default_rng(0)
    logits = (random.normal(size=(64, 10)) * scale).astype(np.float32)
    labels = random.integers(0, 10, 64).astype(np.uint8)
    wanted = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels).long())
    assert scores.cross_entropy(logits, labels) == pytest.approx(float(wanted), abs=1e-6)


def test_a_balanced_score_counts_each_class_alike() -> None:
    """Against scikit-learn, with a class that has no images and one that nobody is taken for."""
    labels, predicted = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 0, 1, 1, 0, 0, 0])
    found = scores.balanced(scores.confusion(labels, predicted, 4))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-6)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-6)
