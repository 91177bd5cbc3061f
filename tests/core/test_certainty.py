import numpy as np
import pytest

from stages.core.evaluation import certainty

RANDOM = np.random.default_rng(0)
CONFIDENCE = RANDOM.uniform(0.5, 1, 4000)


@pytest.mark.parametrize("measured", [certainty.binned_error, certainty.smooth_error])
def test_who_is_right_as_often_as_sure_has_nearly_no_error(measured: object) -> None:
    right = np.random.default_rng(1).random(4000) < CONFIDENCE
    assert measured(CONFIDENCE, right) < 0.025  # type: ignore[operator]


@pytest.mark.parametrize(("measured", "off"), [(certainty.binned_error, 1e-3), (certainty.smooth_error, 5e-3)])
def test_who_is_always_wrong_errs_by_all_its_confidence(measured: object, off: float) -> None:
    confidence = np.full(100, 0.4)
    assert measured(confidence, np.zeros(100, bool)) == pytest.approx(0.4, abs=off)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("seed", "power", "wanted"), [(0, 1.0, 0.0235), (1, 2.0, 0.1753), (2, 0.5, 0.1484), (3, 4.0, 0.3582)]
)
def test_the_smooth_error_is_that_of_relplot(seed: int, power: float, wanted: float) -> None:
    """Version 1.0.3 with its kernel reflected at 0 and 1."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.3, 1, 2000)
    right = random.random(2000) < confidence**power
    assert certainty.smooth_error(confidence, right) == pytest.approx(wanted, abs=2e-3)


def test_refusing_the_least_sure_leaves_the_right_answers() -> None:
    confidence = np.linspace(0, 1, 100)
    rows = certainty.coverage(confidence, confidence > 0.25)
    assert [row["accuracy"] for row in rows if row["answered"] in (0.5, 1)] == [1, 0.75]


def test_prediction_sets_hold_the_true_class_in_99_of_100_cases() -> None:
    random = np.random.default_rng(5)
    probabilities = random.dirichlet(np.full(10, 0.3), 40_000)
    labels = np.array([random.choice(10, p=row) for row in probabilities])
    least = certainty.threshold(probabilities[:20_000], labels[:20_000])
    held = probabilities[20_000:][np.arange(20_000), labels[20_000:]] >= least
    assert held.mean() == pytest.approx(0.99, abs=0.003)


def test_too_few_images_promise_nothing_but_the_set_of_all_classes() -> None:
    assert certainty.threshold(np.full((50, 2), 0.5), np.zeros(50, int)) == 0
