"""Whether two networks that answered the same images differ, and how small a difference could have been seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stages.core.evaluation.scores import rounded

LEVEL = 0.05  # of all tests together that there be one false "better" or "worse"
POWER = 0.8  # share of the cases in which a difference that "could have been seen" is seen
DRAWS = 10_000


class Difference(NamedTuple):
    """Of a network from another, over the same images."""

    images: int
    only_other: int
    """Images that the other alone has right."""
    only_network: int
    difference: float
    """Of the accuracies; above zero the network is the better one."""
    low: float
    high: float
    p: float


def between(network: NDArray[np.bool_], other: NDArray[np.bool_], seed: int) -> Difference:
    """From which answers of each are right, image by image."""
    lost, won, count = int((other & ~network).sum()), int((network & ~other).sum()), len(network)
    low, high = interval(lost, won, count, seed)
    return Difference(count, lost, won, rounded((won - lost) / count), low, high, rounded(mcnemar(lost, won)))


def mcnemar(lost: int, won: int) -> float:
    """Exact, two-sided: images that both have right, or both wrong, tell nothing of which is better.

    McNemar, Q. (1947), Psychometrika 12, 153–157.
    """
    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def interval(lost: int, won: int, count: int, seed: int) -> tuple[float, float]:
    """95 % of the differences if the images were drawn anew (paired percentile bootstrap).

    To draw images and count those that only one has right is to draw from a multinomial distribution.
    """
    shares = np.array([lost, won, count - lost - won]) / count
    drawn = np.random.default_rng(seed).multinomial(count, shares, DRAWS)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / count, [0.025, 0.975])
    return rounded(float(low)), rounded(float(high))


def holm(values: Sequence[float]) -> list[float]:
    """Each p-value, corrected for that there are several.

    Holm, S. (1979), Scandinavian Journal of Statistics 6, 65–70.
    """
    order = np.argsort(values, kind="stable")
    stepped = np.asarray(values, float)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return [rounded(value) for value in corrected.tolist()]


def detectable(images: int, discordant: int, tests: int) -> float | None:
    """The smallest true difference that the first of so many tests sees in `POWER` of the cases; None: not any.

    Args:
        discordant: images that only one of the two has right; their share bounds the difference.
    """
    share, level = discordant / images, LEVEL / tests
    if not discordant or power(images, share, share, level) < POWER:
        return None
    low, high = 0.0, share
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if power(images, share, middle, level) >= POWER else (middle, high)
    return rounded(high)


def power(images: int, share: float, difference: float, level: float) -> float:
    """How often the exact test finds a true difference, over all numbers of discordant images that may come."""
    few, many = stats.binom.interval(1 - 1e-6, images, share)
    counts = np.arange(int(few), int(many) + 1)
    largest = stats.binom.ppf(level / 2, counts, 0.5) - 1  # one less than may be too many
    largest += stats.binom.cdf(largest + 1, counts, 0.5) <= level / 2
    better = np.minimum((share + difference) / (2 * share), 1)
    found = stats.binom.cdf(largest, counts, 1 - better) + stats.binom.cdf(largest, counts, better)
    return float((stats.binom.pmf(counts, images, share) * found).sum())


def verdict(found: Difference, p_corrected: float) -> str:
    if p_corrected > LEVEL:
        return "not distinguishable"
    return "better" if found.difference > 0 else "worse"


def words(found: Difference, verdict: str, seen: float | None) -> str:
    """The verdict as one says it, with how little these images could have told."""
    disagreed = found.only_other + found.only_network
    counted = f"{disagreed} of {found.images:,} images tell the two apart"
    if verdict != "not distinguishable":
        return f"{verdict} by {points(abs(found.difference))}; {counted}, {max(found[1:3])} to {min(found[1:3])}"
    if not disagreed:
        return f"not distinguishable: on each of the {found.images:,} images both are right or both wrong"
    could = "on so few no difference would" if seen is None else f"a difference of {points(seen)} or more would"
    return f"not distinguishable: {counted}; {could} have been seen (in 4 cases of 5)"


def points(difference: float) -> str:
    return f"{100 * difference:.2f} points"
