"""What a network takes for what, and the mistakes it is surest of."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.core.figures import panels
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import ORANGE, WIDTH, page
from stages.core.figures.words import Translator, clipped

MISTAKES = 15
ACROSS = 5


def confusion(outcome: Outcome, t: Translator) -> Figure:
    table, classes = outcome.confusion, outcome.classes
    share = {key: t.probability(outcome.test[key]) for key in ("accuracy", "low", "high")}
    note = t("confusion_note", right=t.count(table.trace()), count=t.count(table.sum()), **share)
    title = t("confusion", network=outcome.network)
    figure, body = page(title, f"{note} {t('confusion_colours')}", height=WIDTH, caution=outcome.caution(t))
    axes = body.subplots()
    numbered = len(classes) <= panels.LABELLED
    texts = (
        np.array([[t.count(count) if count else "" for count in row] for row in table])
        if numbered
        else np.empty((0, 0), str)
    )
    panels.show_numbers(axes, shades(table), texts)
    axes.set_xticks(range(len(classes)), classes, rotation=panels.rotation(classes))
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel=t("predicted"), ylabel=t("actual"), aspect="equal")
    return figure


def shades(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of each row: below zero what is right, above zero mistakes, where the largest tell most."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    right = np.diag(shares.diagonal())
    wrong = shares - right
    coloured: NDArray[np.float64] = 0.75 * (wrong / max(0.2, wrong.max()) - right)
    return coloured


def mistakes(outcome: Outcome, images: NDArray[np.uint8], t: Translator) -> Figure:
    """`images` [N, C, H, W] of the whole test set."""
    wrong = [row for row in outcome.predictions if row["actual"] != row["predicted"]]
    surest = sorted(wrong, key=lambda row: (-float(row["confidence"]), int(row["image"])))[:MISTAKES]
    counts = {"wrong": t.count(len(wrong)), "count": t.count(len(outcome.predictions))}
    note = t("mistakes_note", **counts) if wrong else t("mistakes_none")
    if wrong and outcome.disputed:
        note += " " + t("disputed", **outcome.disputed)
    shown = [
        (
            images[int(row["image"])],
            row["actual"],
            f"{clipped(row['predicted'])}  {t.probability(float(row['confidence']), 0)}",
        )
        for row in surest
    ]
    return gallery(t("mistakes", network=outcome.network), note, shown, outcome.caution(t))


def shared_mistakes(outcomes: Sequence[Outcome], images: NDArray[np.uint8], t: Translator) -> Figure:
    """The test images that most networks get wrong, and what most of those take them for."""
    answers = [
        Counter(row["predicted"] for row in rows if row["actual"] != row["predicted"])
        for rows in zip(*(outcome.predictions for outcome in outcomes), strict=True)
    ]
    wrong = [answer.total() for answer in answers]
    hardest = [index for index in sorted(range(len(wrong)), key=lambda index: -wrong[index]) if wrong[index]][:MISTAKES]
    everyone = sum(count == len(outcomes) for count in wrong)
    note = t("shared_mistakes_note", networks=len(outcomes), everyone=t.count(everyone))
    shown = [
        (
            images[index],
            outcomes[0].predictions[index]["actual"],
            f"{clipped(answers[index].most_common(1)[0][0])}  {wrong[index]}/{len(outcomes)}",
        )
        for index in hardest
    ]
    return gallery(t("shared_mistakes"), note if shown else t("mistakes_none"), shown, outcomes[0].caution(t))


def gallery(title: str, note: str, shown: Sequence[tuple[NDArray[np.uint8], str, str]], caution: str) -> Figure:
    """Images [C, H, W], what stands above each, and what below."""
    rows = -(-len(shown) // ACROSS)
    figure, body = page(title, note, height=1.0 + 1.8 * rows, caution=caution)
    for number, (image, above, below) in enumerate(shown, start=1):
        axes = body.add_subplot(rows, ACROSS, number)
        panels.show_image(axes, image)
        axes.set(xticks=[], yticks=[])
        axes.set_title(clipped(above, 18), loc="center")
        axes.set_xlabel(below, color=ORANGE)
    return figure
