"""A layer's values as one picture of all its maps or as bars, with their scale on the left."""

from collections.abc import Sequence

import numpy as np

from stages.core.figures.style import (
    BLUE,
    FAINT,
    GREY,
    MARGIN,
    ORANGE,
    WIDTH,
    Floats,
    Picture,
    Sheet,
    coloured,
    mosaic,
    size_of,
)
from stages.core.figures.words import Translator

LEFT, RIGHT = 2.35, WIDTH - MARGIN  # inches: where maps and bars begin and end
BARS = 0.75  # inches high
LETTER = 0.075  # inches, of 9 points
LABELLED = 20  # bars up to which each has its number


def picture_of(
    maps: Floats, limit: float | None = None, signed: bool | None = None, width: float = RIGHT - LEFT
) -> Picture:
    """[N, H, W] as one picture `width` inches wide, 8 or 16 maps a row, all to the same scale."""
    columns = 8 if len(maps) <= 16 else 16
    limit = float(np.abs(maps).max()) if limit is None else limit
    signed = bool((maps < 0).any()) if signed is None else signed
    return mosaic(coloured(maps, limit, signed), columns, width)


def draw_maps(sheet: Sheet, picture: Picture, maps: Floats, top: float, t: Translator) -> None:
    limit, signed = float(np.abs(maps).max()), bool((maps < 0).any())
    sheet.picture(picture, LEFT, top, *size_of(picture))
    draw_scale(sheet, limit, signed, LEFT - 0.18, top, min(0.8, size_of(picture)[1] - 0.05), t)


def draw_scale(sheet: Sheet, limit: float, signed: bool, left: float, top: float, height: float, t: Translator) -> None:
    """What the colours stand for: a strip from the largest value down to zero, or to as far below."""
    low = -limit if signed else 0.0
    strip = coloured(np.linspace(limit, low, 64)[:, np.newaxis], limit, signed)
    sheet.picture(strip, left, top, 0.08, height)
    marks = {limit: top, low: top + height} | ({0.0: top + height / 2} if signed and height > 0.4 else {})
    _ticks(sheet, marks, left - 0.05, t)


def draw_bars(
    sheet: Sheet, values: Floats, top: float, t: Translator, names: Sequence[str] = (), actual: str = ""
) -> None:
    """Named bars are probabilities: with their percentage, and the true class in bold."""
    high, low = max(0.0, float(values.max())), min(0.0, float(values.min()))
    scale = BARS / ((high - low) or 1.0)
    zero, wide = top + high * scale, (RIGHT - LEFT) / len(values)
    middles = LEFT + wide * (np.arange(len(values)) + 0.5)
    ends = [[(x, zero), (x, zero - value * scale)] for x, value in zip(middles, values, strict=True)]
    colours = [ORANGE if value > 0 else BLUE for value in values]
    thick = wide * 72 * (0.8 if len(values) <= 256 else 1.0)
    sheet.lines([[(LEFT, zero), (RIGHT, zero)]], colors=FAINT, lw=0.8)
    sheet.lines(ends, colors=colours, lw=thick, capstyle="butt")
    if names:
        _name_bars(sheet, values, middles, zero, names, actual, t)
    else:
        marks = {0.0: zero} | {value: zero - value * scale for value in (high, low) if abs(value) * scale > 0.15}
        _ticks(sheet, marks, LEFT - 0.15, t)


def _name_bars(
    sheet: Sheet, values: Floats, middles: Floats, zero: float, names: Sequence[str], actual: str, t: Translator
) -> None:
    turned = _turned(names)
    for name, value, x in zip(names, values, middles, strict=True):
        weight = "bold" if name == actual else "normal"
        sheet.text(x, zero + 0.06, name, ha="center", va="top", size=9, weight=weight, rotation=90 if turned else 0)
        if len(names) <= LABELLED:
            top = zero - BARS * float(value / values.max())
            sheet.text(x, top - 0.05, t.probability(float(value), 0), ha="center", va="baseline", size=9, color=GREY)


def names_height(names: Sequence[str]) -> float:
    """Inches below a row of named bars."""
    return LETTER * max(map(len, names)) + 0.05 if _turned(names) else 0.15


def _turned(names: Sequence[str]) -> bool:
    return LETTER * max(map(len, names)) > (RIGHT - LEFT) / len(names)


def _ticks(sheet: Sheet, marks: dict[float, float], right: float, t: Translator) -> None:
    for value, y in marks.items():
        text = t.brief(value) if value else "0"
        sheet.text(right, y, text, ha="right", va="center", size=8, color=GREY)
