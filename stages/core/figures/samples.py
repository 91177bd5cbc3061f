"""The images themselves: what they look like, what one filter does to one, and which ones go wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stages.core.data.datasets import LabelledImages
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import (
    GREY,
    INK,
    MARGIN,
    ORANGE,
    WIDTH,
    YELLOW,
    Floats,
    Sheet,
    coloured,
    grey,
    mosaic,
    size_of,
)
from stages.core.figures.words import Translator

FIRST = 16
OF_EACH = 8
LETTER = 0.08  # inches, of 10 points
EDGES = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])
MISTAKES = 15


def samples(train: LabelledImages, metadata: Mapping[str, Any], t: Translator) -> Sheet:
    classes = metadata["classes"]
    counts = {name: t.count(sum(metadata["counts"][name])) for name in ("train", "validation", "test")}
    sheet = Sheet(
        t("samples", dataset=metadata["dataset"]),
        t("samples_note", count=len(classes), **counts),
        body=0.35 + max(4.0, 0.4 * len(classes)) + 0.2,
    )
    shown = min(FIRST, len(train))
    sheet.text(MARGIN, 0.2, t("first_images", count=shown), weight="bold")
    for number in range(shown):
        left, top = MARGIN + number % 4 * 0.88, 0.35 + number // 4 * 1.0
        sheet.picture(grey(train.images[number, 0]), left, top, 0.76, 0.76)
        sheet.text(left + 0.38, top + 0.78, classes[train.labels[number]], ha="center", va="top", size=9, color=GREY)
    _by_class(sheet, train, classes, t)
    return sheet


def _by_class(sheet: Sheet, train: LabelledImages, classes: Sequence[str], t: Translator) -> None:
    left = 4.2 + LETTER * max(map(len, classes))
    cell = min(0.4, (WIDTH - MARGIN - left) / OF_EACH)
    sheet.text(4.15, 0.2, t("by_class", count=OF_EACH), weight="bold")
    for label, name in enumerate(classes):
        top = 0.35 + 0.4 * label
        found = train.images[np.flatnonzero(train.labels == label)[:OF_EACH], 0]
        sheet.text(left - 0.08, top + cell / 2, name, ha="right", va="center")
        if len(found):
            picture = mosaic(grey(found), OF_EACH, cell * OF_EACH)
            sheet.picture(picture, left, top, *size_of(picture))


def correlate(image: NDArray[np.uint8], kernel: NDArray[Any]) -> Floats:
    """What a convolution layer does, with pixels from 0 to 1: no padding, stride 1, no flip of the kernel."""
    windows = sliding_window_view(image / 255.0, kernel.shape)
    result: Floats = (windows * kernel).sum(axis=(-2, -1))
    return result


def edge_filter(image: NDArray[np.uint8], t: Translator) -> Sheet:
    """`image` [H, W]."""
    sheet = Sheet(t("edge_filter"), t("edge_filter_note"), body=3.6)
    result = correlate(image, EDGES)
    row, column = (int(index) for index in np.unravel_index(result.argmax(), result.shape))
    pixel = 2.6 / image.shape[1]
    sheet.picture(grey(image), MARGIN, 0.1, 2.6, 2.6)
    _frame(sheet, MARGIN + column * pixel, 0.1 + row * pixel, 3 * pixel, YELLOW)
    _kernel(sheet, 3.32, 0.85)
    left, side = 5.0, 2.6 * result.shape[1] / image.shape[1]
    top = 1.4 - side / 2
    sheet.picture(coloured(result, float(np.abs(result).max()), signed=True), left, top, side, side)
    _frame(sheet, left, top, side, GREY, lw=0.6)
    _frame(sheet, left + column * pixel, top + row * pixel, pixel, YELLOW)
    middle, end = top + (row + 0.5) * pixel, left + side + 0.1
    sheet.lines([[(left + (column + 1) * pixel, middle), (end, middle)]], colors=INK, lw=0.8)
    sheet.text(end + 0.05, middle, t.brief(result[row, column]), va="center")
    sizes = [f"{array.shape[0]}×{array.shape[1]}" for array in (image, EDGES, result)]
    for centre, name, size in zip((1.55, 3.87, 6.2), ("image", "filter", "feature_map"), sizes, strict=True):
        sheet.text(centre, 2.95, f"{t(name)}  {size}", ha="center", weight="bold")
    sheet.text(3.07, 1.4, "∗", ha="center", va="center", size=18)
    sheet.text(4.7, 1.4, "=", ha="center", va="center", size=18)
    sheet.text(6.2, 3.05, t("edge_result"), ha="center", va="top", color=GREY)
    formula = f"O = ({image.shape[0]} − 3 + 2·0) / 1 + 1 = {result.shape[0]}"
    sheet.text(MARGIN, 3.3, formula, va="center")
    return sheet


def _kernel(sheet: Sheet, left: float, top: float) -> None:
    side = 1.1 / 3
    sheet.picture(coloured(EDGES.astype(float), 1.6, signed=True), left, top, 1.1, 1.1)
    for (row, column), weight in np.ndenumerate(EDGES):
        place = (left + (column + 0.5) * side, top + (row + 0.5) * side)
        sheet.text(*place, str(weight).replace("-", "−"), ha="center", va="center", size=11)
    _frame(sheet, left, top, 1.1, INK)


def _frame(sheet: Sheet, left: float, top: float, side: float, colour: str, lw: float = 1.5) -> None:
    sheet.page.add_patch(Rectangle((left, top), side, side, fill=False, ec=colour, lw=lw))


def mistakes(outcome: Outcome, images: NDArray[np.uint8], t: Translator) -> Sheet:
    """`images` [N, H, W] of the whole test set."""
    wrong = [row for row in outcome.predictions if row["actual"] != row["predicted"]]
    surest = sorted(wrong, key=lambda row: (-float(row["confidence"]), int(row["image"])))[:MISTAKES]
    counts = {"wrong": t.count(len(wrong)), "count": t.count(len(outcome.predictions))}
    sheet = Sheet(
        t("mistakes", network=outcome.network),
        t("mistakes_note", **counts) if wrong else t("mistakes_none"),
        body=0.2 + 1.6 * -(-len(surest) // 5),
        caution=t("test_chose") if outcome.test_chose else "",
    )
    for number, row in enumerate(surest):
        centre, top = 0.25 + 1.5 * (number % 5 + 0.5), 0.1 + 1.6 * (number // 5)
        sheet.picture(grey(images[int(row["image"])]), centre - 0.5, top, 1.0, 1.0)
        sheet.text(centre, top + 1.17, row["actual"], ha="center", va="baseline")
        answer = f"{row['predicted']}  {t.probability(float(row['confidence']), 0)}"
        sheet.text(centre, top + 1.36, answer, ha="center", va="baseline", color=ORANGE)
    return sheet
