"""The table of layers, with the course's formula and its numbers put in."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import GREY, INK, page
from stages.core.figures.words import Translator

KINDS = {"Conv2d": "convolution", "MaxPool2d": "max_pooling", "Linear": "dense", "Norm": "norm"}  # others: torch's name
SIDES = ["left"] * 2 + ["right"] * 2 + ["center"] * 3 + ["left", "right"]  # where the cells of a column are aligned


def layers(outcome: Outcome, t: Translator) -> Figure:
    rows = outcome.model_info["layers"]
    totals = {name: t.count(outcome.model_info[name]) for name in ("parameters", "macs")}
    title, height = t("layers", network=outcome.network), 1.5 + 0.28 * len(rows)
    figure, body = page(title, t("layers_note", formula="O = (W − F + 2P) / S + 1", **totals), height)
    axes = body.subplots()
    axes.set_axis_off()
    head = [*map(t, ("layer", "kind", "input", "output")), "F", "S", "P", *map(t, ("size", "parameters"))]
    table = axes.table([head, *(cells(row, t) for row in rows)], bbox=Bbox.unit(), edges="horizontal")
    table.set_in_layout(False)  # it fills the axes
    table.auto_set_font_size(False)
    table.auto_set_column_width(list(range(len(SIDES))))
    for (row, column), cell in table.get_celld().items():
        ink = INK if row == 0 or rows[row - 1]["parameters"] else GREY
        cell.set_text_props(ha=SIDES[column], size=9, weight="normal" if row else "bold", color=ink)
        cell.set(edgecolor=GREY, linewidth=0.5)
    return figure


def cells(row: Mapping[str, Any], t: Translator) -> list[str]:
    kind, slides = KINDS.get(row["kind"]), row["kernel"] is not None
    shapes = ["×".join(map(str, row[name])) for name in ("input", "output")]
    window = [str(row[name]) if slides else "" for name in ("kernel", "stride", "padding")]
    parameters = t.count(row["parameters"]) if row["parameters"] else ""
    return [
        row["layer"],
        t(kind) if kind else row["kind"],
        *shapes,
        *window,
        formula(row) if slides else "",
        parameters,
    ]


def formula(row: Mapping[str, Any]) -> str:
    """The output's side by O = (W − F + 2P)/S + 1, in numbers: "(28 − 5 + 2·2) / 1 + 1 = 28"."""
    side, kernel, stride, padding = row["input"][-1], row["kernel"], row["stride"], row["padding"]
    steps, left_over = divmod(side - kernel + 2 * padding, stride)
    term = f"({side} − {kernel} + 2·{padding}) / {stride}"
    return f"{f'⌊{term}⌋' if left_over else term} + 1 = {steps + 1}"
