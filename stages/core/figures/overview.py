"""The figures over all networks, and of the images that they learn from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from stages.core.data import datasets
from stages.core.data.datasets import LabelledImages
from stages.core.figures import panels, scores
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import BLUE, COLOURS, DIVERGING, FAINT, GREY, INK, ORANGE, YELLOW, page
from stages.core.figures.words import Translator, clipped

FIRST = 16
OF_EACH = 8
EDGES = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])
ACROSS = 5  # networks side by side
MARKS = (0.0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)  # of accuracy
NEAREST = 0.9998  # to 1 that the stretched scale shows
MARKERS = "osD^vPXh"  # one more than there are colours, so that both together tell 56 networks apart


def overview(
    models: Sequence[str], metadata: Mapping[str, Any], rows: Sequence[Mapping[str, str]], image: int, t: Translator
) -> Iterator[tuple[str, Figure]]:
    """Every figure and its name, one at a time.

    Args:
        rows: of reports/comparison.csv.
        image: the test image that is filtered by hand.
    """
    outcomes = [Outcome.read(network, metadata) for network in models]
    yield "samples", samples(datasets.load("train"), metadata, t)
    yield "edge_filter", edge_filter(grey(datasets.load("test").images[image]), t)
    yield "accuracy_by_class", accuracy_by_class(outcomes, t)
    yield "comparison", comparison(rows, outcomes, t)
    yield "shared_mistakes", scores.shared_mistakes(outcomes, datasets.load("test").images, t)


def samples(train: LabelledImages, metadata: Mapping[str, Any], t: Translator) -> Figure:
    classes = metadata["classes"]
    counts = {name: t.count(sum(metadata["counts"][name])) for name in ("train", "validation", "test")}
    note = t("samples_note", count=len(classes), **counts)
    figure, body = page(t("samples", dataset=metadata["dataset"]), note, height=max(5.5, 1.4 + 0.42 * len(classes)))
    first, by_class = body.subplots(1, 2)
    everything, labels = panels.pictures(train.images), train.labels[:FIRST]
    images = everything[:FIRST]
    panels.show(first, images, 4, labels=[clipped(classes[label]) for label in labels])
    first.set_title(t("first_images", count=len(images)), weight="bold")
    rows = np.full((len(classes), OF_EACH, *images.shape[1:]), panels.EMPTY)
    for label in range(len(classes)):
        found = everything[np.flatnonzero(train.labels == label)[:OF_EACH]]
        rows[label, : len(found)] = found
    height = panels.show(by_class, rows.reshape(-1, *images.shape[1:]), OF_EACH).get_size()[0] / len(classes)
    for label, name in enumerate(classes):
        by_class.text(-5, (label + 0.5) * height, clipped(name), ha="right", va="center")
    by_class.set_title(t("by_class", count=OF_EACH), weight="bold")
    return figure


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W] of [C, H, W]."""
    plane: NDArray[np.uint8] = image.mean(axis=0).astype(np.uint8)
    return plane


def correlate(image: NDArray[np.uint8], kernel: NDArray[Any]) -> panels.Floats:
    """What a convolution layer does, with pixels from 0 to 1: no padding, stride 1, no flip of the kernel."""
    windows = sliding_window_view(image / 255.0, kernel.shape)
    result: panels.Floats = (windows * kernel).sum(axis=(-2, -1))
    return result


def edge_filter(image: NDArray[np.uint8], t: Translator) -> Figure:
    """`image` [H, W]."""
    result = correlate(image, EDGES)
    figure, body = page(t("edge_filter"), t("edge_filter_note"), height=4.9)
    left, middle, right = body.subplots(1, 3, width_ratios=[image.shape[1], 0.4 * image.shape[1], result.shape[1]])
    left.imshow(image, cmap="gray", vmin=0, vmax=255)
    panels.show_numbers(middle, EDGES * 0.4, np.array([[t.number(weight, 0) for weight in row] for row in EDGES]))
    limit = float(np.abs(result).max()) or 1.0
    right.imshow(result, cmap=DIVERGING, vmin=-limit, vmax=limit)
    row, column = (int(index) for index in np.unravel_index(result.argmax(), result.shape))
    for axes, side in ((left, 3), (right, 1)):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), side, side, fill=False, ec=YELLOW, lw=1.5))
    arrow = {"arrowstyle": "-", "color": INK, "lw": 0.8}
    place = (result.shape[1] - 1, row)
    right.annotate(t.short(result[row, column]), (column + 0.5, row), place, va="center", ha="right", arrowprops=arrow)
    formula = f"O = ({image.shape[0]} − 3 + 2·0) / 1 + 1 = {result.shape[0]}"
    right.set_xlabel(f"{formula}\n{t('edge_result')}")
    named = ((left, t("image"), image), (middle, f"∗ {t('filter')}", EDGES), (right, f"= {t('feature_map')}", result))
    for axes, name, values in named:
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.grid(visible=False)
        axes.set_title(f"{name}  {values.shape[0]}×{values.shape[1]}", weight="bold")
    right.spines[:].set_visible(True)
    return figure


def accuracy_by_class(outcomes: Sequence[Outcome], t: Translator) -> Figure:
    """One panel per network, one row per class, so that a class reads across."""
    classes, count = outcomes[0].classes, len(outcomes)
    rows = -(-count // ACROSS)
    columns = -(-count // rows)
    title, height = t("accuracy_by_class"), 1.2 + rows * (0.8 + 0.26 * len(classes))
    figure, body = page(title, t("accuracy_by_class_note"), height, caution=outcomes[0].caution(t))
    lowest = min(min(outcome.by_class["low"]) for outcome in outcomes)
    grid = body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, outcome in zip(grid[:count], outcomes, strict=True):
        _class_panel(axes, outcome)
        axes.set_title(f"{outcome.network}\n{t.probability(outcome.test['accuracy'])}", loc="center", size=9)
    grid[0].set(xlim=(np.floor(lowest * 20) / 20, 1), ylim=(len(classes) - 0.4, -0.6))
    grid[0].xaxis.set_major_locator(MaxNLocator(2))
    grid[0].xaxis.set_major_formatter(lambda value, _: t.short(100 * value))
    for axes in grid[count:]:
        axes.remove()
    body.supxlabel(t("test_accuracy"), size=10)
    return figure


def _class_panel(axes: Axes, outcome: Outcome) -> None:
    rows, right = np.arange(len(outcome.classes)), np.array(outcome.by_class["accuracy"])
    colours = [ORANGE if share == right.min() else BLUE for share in right]
    axes.axvline(outcome.test["accuracy"], color=FAINT, lw=2)
    axes.hlines(rows, outcome.by_class["low"], outcome.by_class["high"], colours, lw=1.5, alpha=0.6)
    axes.scatter(right, rows, s=22, c=colours, zorder=3, clip_on=False)
    axes.set_yticks(rows, outcome.classes)
    axes.tick_params(length=0, labelbottom=True)
    axes.tick_params(axis="y", labelcolor=INK, pad=8)
    axes.spines["left"].set_visible(False)


def comparison(rows: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome], t: Translator) -> Figure:
    note = t("comparison_note", count=t.count(outcomes[0].confusion.sum()))
    figure, body = page(t("comparison"), note, height=5.4 + 0.2 * len(rows) / 4, caution=outcomes[0].caution(t))
    left, right = body.subplots(1, 2, sharey=True)
    for axes, cost in ((left, "parameters"), (right, "macs")):
        _costs(axes, rows, cost, t)
    _stretch(left, rows, t)
    left.set_ylabel(t("test_accuracy"))
    body.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, handletextpad=0.3)
    return figure


def _costs(axes: Axes, rows: Sequence[Mapping[str, str]], cost: str, t: Translator) -> None:
    axes.set_xscale("log")
    cheapest = front(rows, cost)
    edge = (max(float(row[cost]) for row in rows), cheapest[-1][1])
    axes.step(*zip(*cheapest, edge, strict=True), color=GREY, ls="--", lw=1, where="post", label="_front")
    for number, row in enumerate(rows):
        x, accuracy, best = float(row[cost]), float(row["accuracy"]), row["champion"] == "True"
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.vlines(x, float(row["low"]), float(row["high"]), colour, lw=1.5, alpha=0.6)
        name = f"{row['network']} ({t('champion')})" if best else row["network"]
        inside = "white" if number // len(COLOURS) % 2 else colour
        axes.plot([x], [accuracy], marker, color=colour, mfc=inside, ms=8, label=name)
        if best:
            axes.plot([x], [accuracy], "o", ms=15, mfc="none", mec=INK, mew=1.2)
    costs = [float(row[cost]) for row in rows]
    low, high = min(costs), max(costs)
    beside = max(1.5, (high / low) ** 0.12)
    axes.set_xlim(low / beside, high * beside)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high > 10 * low else (1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep="\u00a0"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlabel(t(cost))


def front(rows: Sequence[Mapping[str, str]], cost: str) -> list[tuple[float, float]]:
    """Cost and accuracy of the networks than which none of at most their cost is better: the Pareto front."""
    found: list[tuple[float, float]] = []
    for x, accuracy in sorted(
        ((float(row[cost]), float(row["accuracy"])) for row in rows), key=lambda at: (at[0], -at[1])
    ):
        if not found or accuracy > found[-1][1]:
            found.append((x, accuracy))
    return found


def _stretch(axes: Axes, rows: Sequence[Mapping[str, str]], t: Translator) -> None:
    """Accuracy by the logarithm of what is missing to 1, so that 98 and 99 % stand as far apart as 50 and 75 %."""
    lowest, highest = min(float(row["low"]) for row in rows), max(float(row["high"]) for row in rows)
    marks = [mark for mark in MARKS if lowest <= mark <= highest]
    if len(marks) < 3:
        marks = list(MaxNLocator(3).tick_values(lowest, highest))
    axes.set_yscale("function", functions=(_missing, lambda value: 1 - np.exp(-value)))
    axes.set_yticks(marks, [t.short(100 * mark) for mark in marks])
    axes.set_ylim(1 - (1 - lowest) * 1.15, 1 - (1 - min(highest, NEAREST)) / 1.2)


def _missing(value: ArrayLike) -> NDArray[np.float64]:
    missing: NDArray[np.float64] = -np.log(1 - np.minimum(value, NEAREST))
    return missing
