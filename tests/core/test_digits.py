import numpy as np
from sklearn.datasets import load_digits

from stages.core.sources import digits

COUNTS = load_digits().images[:100]


def test_a_bitmap_has_the_counts_it_was_sought_for() -> None:
    ink = digits.bitmaps(COUNTS / 16)
    found = ink.reshape(-1, 10, 4, 10, 4).mean(axis=(2, 4))[:, 1:9, 1:9] * 16
    assert np.abs(found - COUNTS).mean() < 0.15
    assert np.abs(found - COUNTS).max() < 3


def test_a_bitmap_is_ink_or_paper_with_narrow_edges() -> None:
    """Merely enlarged, most of the inked pixels would be grey."""
    ink = digits.bitmaps(COUNTS / 16)
    grey = ((ink > 0.1) & (ink < 0.9)).sum() / (ink > 0.1).sum()
    blocks = COUNTS / 16
    assert grey < 0.55 < 0.7 < ((blocks > 0.1) & (blocks < 0.9)).sum() / (blocks > 0.1).sum()


def test_an_empty_image_stays_empty() -> None:
    assert not digits.enlarge(np.zeros((1, 8, 8))).any()
