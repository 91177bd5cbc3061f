"""How good the networks are: by class, by cost, and what they take for what."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import BLUE, COLOURS, DIVERGING, FAINT, INK, MARGIN, MARKERS, ORANGE, WIDTH, Sheet
from stages.core.figures.words import Translator

PANELS = 7  # networks side by side
BETWEEN = 0.75  # inches between rows of panels, for the names above and the scale below
LETTER = 0.078  # inches, of 9 points
MARKS = (0.0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)  # of accuracy
NEAREST = 0.9998  # to 1 that the stretched scale shows
NUMBERED = 20  # classes up to which a confusion matrix shows its numbers


def accuracy_by_class(outcomes: Sequence[Outcome], t: Translator) -> Sheet:
    """One column per network, one row per class, so that a class reads across and a network down."""
    classes = outcomes[0].classes
    height = 0.3 * len(classes)
    bands = -(-len(outcomes) // PANELS)
    columns = -(-len(outcomes) // bands)
    sheet = Sheet(
        t("accuracy_by_class"),
        t("accuracy_by_class_note"),
        body=(height + BETWEEN) * bands + 0.15,
        caution=_caution(outcomes, t),
    )
    left = MARGIN + 0.15 + LETTER * max(map(len, classes))
    width = (WIDTH - 0.15 - left) / columns
    lowest = min(min(outcome.by_class["low"]) for outcome in outcomes)
    for number, outcome in enumerate(outcomes):
        band, column = divmod(number, columns)
        place = (left + column * width, 0.4 + band * (height + BETWEEN), width - 0.15, height)
        axes = sheet.axes(*place, xlim=(max(0.0, np.floor(lowest * 20) / 20), 1), ylim=(len(classes) - 0.4, -0.6))
        _class_panel(axes, outcome, first=column == 0)
        axes.set_title(f"{outcome.network}\n{t.probability(outcome.test['accuracy'])}", fontsize=8.5, linespacing=1.3)
    sheet.text((left + WIDTH) / 2, sheet.body - 0.1, t("class_share_percent"), ha="center")
    return sheet


def _class_panel(axes: Axes, outcome: Outcome, first: bool) -> None:
    rows = np.arange(len(outcome.classes))
    right = np.array(outcome.by_class["accuracy"])
    colours = [ORANGE if share == right.min() else BLUE for share in right]
    axes.axvline(outcome.test["accuracy"], color=FAINT, lw=2)
    axes.hlines(rows, outcome.by_class["low"], outcome.by_class["high"], colours, lw=1.5, alpha=0.6)
    axes.scatter(right, rows, s=22, c=colours, zorder=3, clip_on=False)
    axes.set_yticks(rows, outcome.classes if first else [""] * len(rows), color=INK)
    axes.tick_params(axis="both", length=0)
    edge = axes.get_xlim()[0]
    marks = [mark for mark in (0.0, 0.5, 0.8, 0.9, 1.0) if mark >= edge]
    marks = [marks[0], marks[-1]] if edge else [0.0, 0.5, 1.0]
    axes.set_xticks(marks, [f"{mark * 100:.0f}" for mark in marks], fontsize=8)
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.spines["left"].set_visible(False)


def comparison(rows: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome], t: Translator) -> Sheet:
    """`rows` are those of reports/comparison.csv."""
    note = t("comparison_note", count=t.count(int(outcomes[0].confusion.sum())))
    bands = -(-len(rows) // 4)
    sheet = Sheet(t("comparison"), note, body=3.95 + 0.22 * bands, caution=_caution(outcomes, t))
    left, right = sheet.axes(0.9, 0.1, 3.2, 3.1), sheet.axes(4.55, 0.1, 3.2, 3.1)
    for axes, cost in ((left, "parameters"), (right, "macs")):
        _costs(axes, rows, cost, t)
    _stretch([left, right], rows, t)
    left.set_ylabel(t("class_share"))
    right.tick_params(labelleft=False)
    handles, labels = left.get_legend_handles_labels()
    sheet.figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=9, handletextpad=0.3)
    return sheet


def _costs(axes: Axes, rows: Sequence[Mapping[str, str]], cost: str, t: Translator) -> None:
    axes.set_xscale("log")
    for number, row in enumerate(rows):
        x, accuracy = float(row[cost]), float(row["accuracy"])
        colour, best = COLOURS[number % len(COLOURS)], row["champion"] == "True"
        axes.vlines(x, float(row["low"]), float(row["high"]), colour, lw=1.5, alpha=0.6)
        name = f"{row['network']} ({t('champion')})" if best else row["network"]
        marker = MARKERS[number % len(MARKERS)]
        axes.plot([x], [accuracy], marker, color=colour, ms=8, mec="white", mew=0.4, label=name)
        if best:
            axes.plot([x], [accuracy], "o", ms=15, mfc="none", mec=INK, mew=1.2)
    axes.set_xlabel(t(cost))
    costs = [float(row[cost]) for row in rows]
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if max(costs) > 10 * min(costs) else (1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, t)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.margins(x=0.12)


def _stretch(panels: Sequence[Axes], rows: Sequence[Mapping[str, str]], t: Translator) -> None:
    """Accuracy by the logarithm of what is missing to 1, so that 98 and 99 % stand as far apart as 50 and 75 %."""
    lowest, highest = (pick(float(row[end]) for row in rows) for pick, end in ((min, "low"), (max, "high")))
    marks = [mark for mark in MARKS if lowest <= mark <= highest] or [lowest, highest]
    for axes in panels:
        axes.set_yscale("function", functions=(_missing, lambda value: 1 - np.exp(-value)))
        axes.set_ylim(1 - (1 - lowest) * 1.15, 1 - (1 - min(highest, NEAREST)) / 1.2)
        axes.set_yticks(marks, [t.number(100 * mark, int(mark > 0.99)) + t.sign for mark in marks])


def _missing(value: ArrayLike) -> NDArray[np.float64]:
    missing: NDArray[np.float64] = -np.log(1 - np.minimum(value, NEAREST))
    return missing


def _short(value: float, t: Translator) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{t.count(value / size)}\u00a0{unit}"
    return t.count(value)


def confusion(outcome: Outcome, t: Translator) -> Sheet:
    count = len(outcome.classes)
    longest = LETTER * max(map(len, outcome.classes))
    side = WIDTH - 1.1 - longest - 0.4 if count > 5 else 4.0
    side = min(side, 5.8)
    turned = longest > side / count
    test = {key: t.probability(outcome.test[key]) for key in ("accuracy", "low", "high")}
    right = t.count(int(outcome.confusion.trace()))
    note = t("confusion_note", right=right, count=t.count(int(outcome.confusion.sum())), **test)
    sheet = Sheet(
        t("confusion", network=outcome.network),
        f"{note} {t('confusion_colours')}",
        body=side + 0.75 + (longest if turned else 0.1),
        caution=_caution([outcome], t),
    )
    axes = sheet.axes((WIDTH - side + longest) / 2, 0.1, side, side)
    _matrix(axes, outcome, t)
    axes.set_xticks(range(count), outcome.classes, rotation=90 if turned else 0, color=INK)
    axes.set_yticks(range(count), outcome.classes, color=INK)
    axes.set(xlabel=t("predicted"), ylabel=t("actual"))
    return sheet


def _matrix(axes: Axes, outcome: Outcome, t: Translator) -> None:
    table = outcome.confusion
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    wrong = shares * (1 - np.eye(len(table)))
    signed = wrong / max(0.2, wrong.max()) * 0.75 - np.diag(shares.diagonal()) * 0.75
    axes.imshow(signed, cmap=DIVERGING, vmin=-1, vmax=1)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(table) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(table) - 1) + 0.5, minor=True)
    axes.grid(visible=True, which="minor", color=FAINT, lw=0.5)
    axes.tick_params(which="minor", length=0)
    if len(table) > NUMBERED:
        return
    for row, column in zip(*table.nonzero(), strict=True):
        colour = "white" if abs(signed[row, column]) > 0.45 else INK
        axes.text(column, row, t.count(int(table[row, column])), ha="center", va="center", color=colour)


def _caution(outcomes: Sequence[Outcome], t: Translator) -> str:
    return t("test_chose") if any(outcome.test_chose for outcome in outcomes) else ""
