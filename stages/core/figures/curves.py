"""How a network learnt: the loss of each update, and loss and accuracy of each epoch."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import BLUE, FAINT, GREY, ORANGE, Sheet
from stages.core.figures.words import Translator

WINDOW = 60  # updates


def running_mean(values: ArrayLike, window: int = WINDOW) -> NDArray[np.float64]:
    """The mean of each `window` values in a row: that many fewer, less one, than there are values."""
    total = np.cumsum(np.concatenate([[0.0], np.asarray(values, np.float64)]))
    means: NDArray[np.float64] = (total[window:] - total[:-window]) / window
    return means


def steps(outcome: Outcome, t: Translator) -> Sheet:
    count, epochs = len(outcome.steps), len(outcome.epochs["epoch"])
    sheet = Sheet(t("steps", network=outcome.network), t("steps_note"), body=3.9)
    axes = sheet.axes(0.8, 0.3, 6.95, 3.0, xlim=(0, count + 1))
    axes.grid(axis="x", visible=False)
    axes.vlines(np.arange(1, epochs) * count / epochs, 0, 1, FAINT, lw=0.7, transform=axes.get_xaxis_transform())
    axes.plot(np.arange(1, count + 1), outcome.steps, color=BLUE, alpha=0.3, lw=0.8, label=t("update"))
    means = running_mean(outcome.steps)
    if len(means):
        middles = np.arange(len(means)) + (WINDOW + 1) / 2
        axes.plot(middles, means, color=BLUE, lw=2, label=t("running_mean", window=WINDOW))
    axes.set(xlabel=t("batch", batch=outcome.recipe["batch_size"]), ylabel=t(outcome.recipe["loss"]))
    axes.set_ylim(0, max(outcome.steps) * 1.05)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: t.count(value)))
    axes.yaxis.set_major_formatter(_losses(max(outcome.steps), t))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2)
    return sheet


def epochs(outcome: Outcome, t: Translator) -> Sheet:
    caution = t("test_chose") if outcome.test_chose else ""
    sheet = Sheet(t("epochs", network=outcome.network), t("epochs_note"), body=4.1, caution=caution)
    loss, accuracy = sheet.axes(0.8, 0.1, 2.95, 2.95), sheet.axes(4.8, 0.1, 2.95, 2.95)
    _curves(loss, outcome, "loss", t)
    loss.set(ylabel=t(outcome.recipe["loss"]), ylim=(0, 1.06 * _largest(outcome, "loss")))
    loss.yaxis.set_major_formatter(_losses(_largest(outcome, "loss"), t))
    _curves(accuracy, outcome, "accuracy", t)
    highest, lowest = _largest(outcome, "accuracy"), -_largest(outcome, "accuracy", -1)
    accuracy.set(ylabel=t("accuracy"), ylim=(lowest - 0.04, min(1.01, highest + 0.04)))
    accuracy.yaxis.set_major_formatter(FuncFormatter(lambda value, _: t.percent(value, 0)))
    handles, labels = loss.get_legend_handles_labels()
    sheet.figure.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.08, 0.01), ncols=3)
    return sheet


def _largest(outcome: Outcome, what: str, sign: int = 1) -> float:
    return max(sign * value for name in ("train", "validation") for value in outcome.epochs[f"{name}_{what}"])


def _curves(axes: Axes, outcome: Outcome, what: str, t: Translator) -> None:
    numbers = outcome.epochs["epoch"]
    best = outcome.best_epoch
    axes.axvline(best, color=GREY, ls=":", lw=1.5, label=t("best_epoch", epoch=best))
    for name, colour, marker in (("train", BLUE, "o"), ("validation", ORANGE, "s")):
        axes.plot(numbers, outcome.epochs[f"{name}_{what}"], color=colour, marker=marker, ms=5, label=t(name))
    axes.set(xlabel=t("epoch"), xlim=(0.7, len(numbers) + 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _losses(largest: float, t: Translator) -> FuncFormatter:
    """With as many decimals as the marks up to the largest need."""
    decimals = max(1, 1 - math.floor(math.log10(largest or 1)))
    return FuncFormatter(lambda value, _: t.number(value, decimals))
