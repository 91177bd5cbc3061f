import numpy as np
import pytest

from stages.core.evaluation import disputed


def test_mistakes_on_disputed_labels_are_counted() -> None:
    wrong = np.zeros(10_000, bool)
    wrong[[0, 947, 9729]] = True
    assert disputed.among(wrong, {"dataset": "mnist"}) == {"images": 15, "mistakes": 2}


@pytest.mark.parametrize(("dataset", "images"), [("mnist", 9_000), ("digits", 10_000)])
def test_of_other_images_none_is_known(dataset: str, images: int) -> None:
    assert disputed.among(np.ones(images, bool), {"dataset": dataset}) is None
