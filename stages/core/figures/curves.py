"""How a network learnt: the loss of each update, and loss and accuracy of each epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.lib.stride_tricks import sliding_window_view

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import BLUE, FAINT, GREY, ORANGE, page
from stages.core.figures.words import Translator

WINDOW = 60  # updates
LINES = {"train": (BLUE, "o"), "validation": (ORANGE, "s")}


def steps(outcome: Outcome, t: Translator) -> Figure:
    recipe, losses = outcome.training["recipe"], outcome.steps
    note = t("steps_note", objective=objective(recipe, t))
    figure, body = page(t("steps", network=outcome.network), note, height=4.8)
    axes, count, epochs = body.subplots(), len(losses), len(outcome.epochs["epoch"])
    ends = np.arange(1, epochs) * count / epochs + 0.5
    axes.vlines(ends, 0, 1, FAINT, lw=0.8, transform=axes.get_xaxis_transform())
    axes.plot(np.arange(count) + 1, losses, color=BLUE, alpha=0.4, lw=0.8, label=t("update"))
    if count >= WINDOW:
        means = sliding_window_view(losses, WINDOW).mean(axis=1)
        axes.plot(np.arange(len(means)) + (WINDOW + 1) / 2, means, color=BLUE, lw=2, label=t("mean", window=WINDOW))
    axes.set(xlabel=t("batch", batch=recipe["batch_size"]), ylabel=t("train_loss"))
    axes.set(xlim=(0, count + 1), ylim=(0, losses.max() * 1.05))
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: t.count(value))
    axes.yaxis.set_major_formatter(lambda value, _: t.short(value))
    body.legend(loc="outside lower left", ncols=2)
    return figure


def epochs(outcome: Outcome, t: Translator) -> Figure:
    """Both losses share a panel only where they are the same quantity: plain cross-entropy."""
    lowered = objective(outcome.training["recipe"], t)
    losses, apart = [["train_loss", "validation_loss"]], ""
    if lowered != t("cross_entropy"):
        losses, apart = [["train_loss"], ["validation_loss"]], t("apart")
    note = f"{t('epochs_note', objective=lowered)} {apart}".strip()
    figure, body = page(t("epochs", network=outcome.network), note, height=5.0, caution=outcome.caution(t))
    *left, right = body.subplots(1, len(losses) + 1)
    for axes, columns in zip(left, losses, strict=True):
        _draw(axes, outcome, columns, t)
        axes.set(ylabel=t(columns[0] if apart else "loss"), ylim=(0, None))
        axes.yaxis.set_major_formatter(lambda value, _: t.short(value))
    _draw(right, outcome, ["train_accuracy", "validation_accuracy"], t)
    right.set_ylabel(t("accuracy"))
    right.yaxis.set_major_formatter(lambda value, _: t.short(100 * value))
    body.legend(*right.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def objective(recipe: Mapping[str, Any], t: Translator) -> str:
    """What the training lowers, in words."""
    smoothing = recipe.get("label_smoothing")
    parts = [t(recipe["loss"])]
    parts += [t("smoothing", share=t.short(smoothing))] if smoothing else []
    parts += [t("augmented")] if recipe.get("augment") else []
    return ", ".join(parts)


def _draw(axes: Axes, outcome: Outcome, columns: list[str], t: Translator) -> None:
    numbers, best = outcome.epochs["epoch"], outcome.training["best_epoch"]
    axes.axvline(best, color=GREY, ls=":", lw=1.5, label=t("best_epoch", epoch=best))
    for column in columns:
        name = column.split("_")[0]
        colour, marker = LINES[name]
        axes.plot(numbers, outcome.epochs[column], color=colour, marker=marker, ms=5, clip_on=False, label=t(name))
    axes.set(xlabel=t("epoch"), xlim=(0.7, len(numbers) + 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
