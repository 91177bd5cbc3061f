"""The table of layers, with the course's formula and its numbers put in."""

from collections.abc import Mapping, Sequence
from typing import Any

from stages.core.figures.outcome import Outcome
from stages.core.figures.style import FAINT, GREY, INK, MARGIN, WIDTH, Sheet
from stages.core.figures.words import Translator

KINDS = {
    "Conv2d": "convolution",
    "MaxPool2d": "max_pooling",
    "Linear": "dense",
    "Flatten": "flatten",
    "Dropout": "dropout",
    "Norm": "norm",
    "LogSoftmax": "log_softmax",
}
ROW = 0.29
COLUMNS = {  # left or right edge in inches, and which of them
    "layer": (MARGIN, "left"),
    "kind": (1.15, "left"),
    "input": (3.0, "right"),
    "output": (3.65, "right"),
    "maps": (4.25, "right"),
    "kernel": (4.5, "right"),
    "stride": (4.72, "right"),
    "padding": (4.94, "right"),
    "formula_head": (5.1, "left"),
    "parameters": (WIDTH - MARGIN, "right"),
}


def layers(outcome: Outcome, t: Translator) -> Sheet:
    rows = outcome.model_info["layers"]
    totals = {name: t.count(outcome.model_info[name]) for name in ("parameters", "macs")}
    sheet = Sheet(
        t("layers", network=outcome.network),
        t("formula_note", formula=t("formula"), **totals),
        body=ROW * (len(rows) + 1) + 0.3,
    )
    heads = {name: t(name) for name in COLUMNS}
    _write(sheet, heads, 0.15 + ROW / 2, weight="bold")
    for number, row in enumerate(rows, start=1):
        _write(sheet, cells(row, t), 0.15 + ROW * (number + 0.5), color=INK if row["parameters"] else GREY)
    tops = [0.15 + ROW * number for number in range(1, len(rows) + 2)]
    sheet.lines([[(MARGIN, top), (WIDTH - MARGIN, top)] for top in tops], colors=FAINT, lw=0.7)
    return sheet


def _write(sheet: Sheet, texts: Mapping[str, str], middle: float, **look: Any) -> None:
    for name, (place, side) in COLUMNS.items():
        if texts[name]:
            sheet.text(place, middle, texts[name], ha=side, va="center", size=9, **look)


def cells(row: Mapping[str, Any], t: Translator) -> dict[str, str]:
    kind = KINDS.get(row["kind"])
    slides = row["kernel"] is not None
    sides = {name: str(row[name]) if slides else "" for name in ("kernel", "stride", "padding")}
    return {
        "layer": row["layer"],
        "kind": t(kind) if kind else row["kind"],
        "input": _size(row["input"]),
        "output": _size(row["output"]),
        "maps": str(row["output"][0]) if len(row["output"]) == 3 else "",
        **sides,
        "formula_head": formula(row) if slides else "",
        "parameters": t.count(row["parameters"]) if row["parameters"] else "",
    }


def formula(row: Mapping[str, Any]) -> str:
    """The output's side by O = (W − F + 2P)/S + 1, in numbers: "(28 − 5 + 2·2) / 1 + 1 = 28"."""
    side, kernel, stride, padding = row["input"][-1], row["kernel"], row["stride"], row["padding"]
    steps, left_over = divmod(side - kernel + 2 * padding, stride)
    term = f"({side} − {kernel} + 2·{padding}) / {stride}"
    return f"{f'⌊{term}⌋' if left_over else term} + 1 = {steps + 1}"


def _size(shape: Sequence[int]) -> str:
    """Height and width of maps, or the number of units."""
    return "×".join(map(str, shape[-2:] if len(shape) == 3 else shape))
