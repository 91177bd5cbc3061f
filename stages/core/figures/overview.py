"""The figures over all networks: the training set, a filter applied by hand, and the networks side by side."""

from collections.abc import Iterator, Sequence
from typing import Any

from stages.core.data import datasets
from stages.core.figures import samples, scores
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import Sheet
from stages.core.figures.words import Translator


def overview(
    models: Sequence[str], metadata: dict[str, Any], rows: Sequence[dict[str, Any]], image: int, t: Translator
) -> Iterator[tuple[str, Sheet]]:
    """Every figure and its name, one at a time.

    Args:
        rows: of reports/comparison.csv.
        image: the test image that is filtered by hand.
    """
    outcomes = [Outcome.read(network, metadata) for network in models]
    yield "samples", samples.samples(datasets.load("train"), metadata, t)
    yield "edge_filter", samples.edge_filter(datasets.load("test").images[image, 0], t)
    yield "accuracy_by_class", scores.accuracy_by_class(outcomes, t)
    yield "comparison", scores.comparison(list(rows), outcomes, t)
