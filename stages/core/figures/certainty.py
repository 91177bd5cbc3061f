"""Whether a network is as often right as it says, and what it gains where it may leave images unanswered."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import BLUE, GREY, page
from stages.core.figures.words import Translator

DOT = 400  # square points of the bin with the most images, and at least
LEAST = 15


def certainty(outcome: Outcome, t: Translator) -> Figure:
    said = {name: t.percent(value) for name, value in outcome.certainty.items() if name != "set_size"}
    note = t("certainty_note", set_size=t.number(outcome.certainty["set_size"]), **said)
    title = t("certainty", network=outcome.network)
    figure, body = page(title, note, height=5.2, caution=outcome.caution(t))
    left, right = body.subplots(1, 2)
    _reliability(left, outcome, t)
    _coverage(right, outcome, t)
    for axes in (left, right):
        axes.set_ylabel(t("accuracy"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: t.short(100 * value))
    return figure


def _reliability(axes: Axes, outcome: Outcome, t: Translator) -> None:
    """On the diagonal a network is as often right as it says."""
    images, confidence, accuracy = (outcome.reliability[name] for name in ("images", "confidence", "accuracy"))
    axes.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1)
    sizes = [max(LEAST, DOT * count / max(images)) for count in images]
    axes.scatter(confidence, accuracy, sizes, color=BLUE, alpha=0.7, lw=0, clip_on=False, zorder=3)
    low = min(0.5, *confidence)
    axes.set(title=t("reliability"), xlabel=t("confidence"), xlim=(low, 1), ylim=(0, 1.01))


def _coverage(axes: Axes, outcome: Outcome, t: Translator) -> None:
    answered, accuracy = (outcome.coverage[name] for name in ("answered", "accuracy"))
    axes.plot(answered, accuracy, color=BLUE, lw=2, clip_on=False)
    margin = max(0.01, 1 - min(accuracy)) * 0.1
    axes.set(title=t("coverage"), xlabel=t("answered"), xlim=(min(answered), 1), ylim=(min(accuracy) - margin, 1))
