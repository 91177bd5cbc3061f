"""What the first layer looks for: its filters, or the weights of its most active units as pictures."""

import numpy as np
from numpy.typing import NDArray

from serve.inference.layers import Inspector, Layer
from stages.core.figures.drawing import draw_scale
from stages.core.figures.style import DPI, GREY, MARGIN, WIDTH, Floats, Sheet, coloured, mosaic, size_of
from stages.core.figures.words import Translator

FILTERS = 128
UNITS = 32
COLUMNS = 8
GAP = 14  # pixels
CAPTION = 0.2  # inches below each row
LEFT = 0.9  # inches; the scale stands left of it


def filters(inspector: Inspector, images: NDArray[np.uint8], t: Translator) -> Sheet:
    """`images` [N, C, H, W] tell which units of a dense first layer are the most active."""
    layer = next(layer for layer in inspector.layers if layer.kind in ("convolution", "dense"))
    network, weights = inspector.model.network, inspector.weights(layer.name)
    explained = f"{t('filters_note')} {t('bias')}"
    if layer.kind == "convolution":
        pictures, chosen = weights["weight"].mean(axis=1), np.arange(len(weights["weight"]))[:FILTERS]
        title = t("filters", network=network, layer=layer.name, count=len(weights["weight"]))
    else:
        channels, height, width = inspector.model.input_shape
        pictures = weights["weight"].reshape(-1, channels, height, width).mean(axis=1)
        chosen = most_active(inspector, layer, images)
        title = t("units_filters", network=network, layer=layer.name)
        explained = t("units_filters_note", count=len(chosen), size=f"{height}×{width}") + explained
    biases = weights.get("bias", np.zeros(len(pictures), np.float32))
    return _draw(title, explained, pictures[chosen], biases[chosen], chosen, t)


def most_active(inspector: Inspector, layer: Layer, images: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The units with the largest mean answer above zero, largest first."""
    activity = inspector.activations(images)[layer.name].clip(min=0).mean(axis=0)
    return np.argsort(-activity, kind="stable")[:UNITS]


def _draw(title: str, note: str, pictures: Floats, biases: Floats, numbers: NDArray[np.intp], t: Translator) -> Sheet:
    width = WIDTH - MARGIN - LEFT
    cell = width / COLUMNS
    limit = float(np.abs(pictures).max())
    rows = [mosaic(coloured(row, limit, signed=True), COLUMNS, width, GAP) for row in _rows(pictures)]
    height = size_of(rows[0])[1]
    sheet = Sheet(title, note, body=0.15 + (height + CAPTION) * len(rows))
    for index, row in enumerate(rows):
        sheet.picture(row, LEFT, 0.1 + index * (height + CAPTION), *size_of(row))
    for index, (number, bias) in enumerate(zip(numbers, biases, strict=True)):
        left, top = LEFT + cell * (index % COLUMNS + 0.45), 0.07 + (height + CAPTION) * (index // COLUMNS) + height
        text = f"{number + 1}   b {t.number(float(bias))}"
        sheet.text(left, top, text, ha="center", va="top", size=8, color=GREY)
    draw_scale(sheet, limit, True, LEFT - 0.25, 0.1, height - GAP / DPI, t)
    return sheet


def _rows(pictures: Floats) -> list[Floats]:
    return [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)]
