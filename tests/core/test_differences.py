import numpy as np
import pytest
from scipy import stats

from stages.core.evaluation import differences
from stages.core.evaluation.differences import Difference


def test_mcnemar_is_that_of_statsmodels() -> None:
    """Its documented table [[101, 121], [59, 33]], exact."""
    assert differences.mcnemar(121, 59) == pytest.approx(4.434444926375551e-06, rel=1e-4)


@pytest.mark.parametrize(("one_way", "tests"), [(6, 1), (10, 21), (11, 36)])
def test_the_fewest_images_that_can_tell_two_networks_apart(one_way: int, tests: int) -> None:
    assert differences.mcnemar(one_way, 0) <= differences.LEVEL / tests < differences.mcnemar(one_way - 1, 0)


def test_the_interval_is_that_of_scipy_s_paired_bootstrap() -> None:
    lost, won, count = 60, 25, 1000
    network, other = np.zeros(count), np.zeros(count)
    other[:lost], network[lost : lost + won] = 1, 1
    wanted = stats.bootstrap(
        (network, other),
        lambda first, second, axis: (first - second).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=5000,
        batch=500,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    assert differences.interval(lost, won, count, seed=1) == pytest.approx(tuple(wanted), abs=0.0015)


def test_holm_corrects_as_in_its_textbook_example() -> None:
    assert differences.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize(
    ("images", "discordant", "tests", "seen"),
    [
        (360, 7, 1, None),
        (10_000, 100, 1, 0.0029),
        (10_000, 100, 36, 0.0041),
        (10_000, 50, 1, 0.0020),
        (60_000, 600, 1, 0.0012),
        (10_000, 0, 1, None),
    ],
)
def test_the_smallest_difference_that_could_have_been_seen(
    images: int, discordant: int, tests: int, seen: float | None
) -> None:
    assert differences.detectable(images, discordant, tests) == pytest.approx(seen, abs=1e-4)


def test_that_difference_is_seen_in_four_cases_of_five() -> None:
    images, discordant, random = 2000, 100, np.random.default_rng(0)
    seen = differences.detectable(images, discordant, tests=1)
    assert seen
    share = discordant / images
    drawn = random.multinomial(images, [(share - seen) / 2, (share + seen) / 2, 1 - share], 2000)
    found = [differences.mcnemar(int(lost), int(won)) <= differences.LEVEL for lost, won, _ in drawn]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_the_verdict_names_the_better_one() -> None:
    found = Difference(1000, 5, 40, 0.035, 0.02, 0.05, 1e-6)
    assert differences.words(found, differences.verdict(found, 1e-5), 0.01) == (
        "better by 3.50 points; 45 of 1,000 images tell the two apart, 40 to 5"
    )
