"""Inside a network: the feature maps of every layer for one image, and of one layer for several."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve.inference.layers import Inspector, Layer
from stages.core.figures.drawing import BARS, LEFT, draw_bars, draw_maps, draw_scale, names_height, picture_of
from stages.core.figures.style import GREY, MARGIN, WIDTH, Floats, Sheet, coloured, grey, size_of
from stages.core.figures.words import Translator

DRAWN = ("convolution", "pooling", "dense")
SHOWN = 128  # maps of a layer
TOGETHER = 256  # maps of all images that are compared
SPACE = 0.22  # inches between layers


@dataclass(frozen=True)
class LayerActivations:
    """Test images, and what every layer of a network made of them."""

    inspector: Inspector
    numbers: list[int]
    """Of the images within the test set."""
    images: NDArray[np.uint8]
    """[N, 1, H, W]"""
    actual: list[str]
    activations: Mapping[str, Floats]

    @property
    def network(self) -> str:
        return self.inspector.model.network

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self.inspector.layers if layer.kind in DRAWN]

    @property
    def probabilities(self) -> Floats:
        return self.inspector.answer_of(self.activations)

    def answer(self, index: int) -> str:
        return self.inspector.model.classes[int(self.probabilities[index].argmax())]


def feature_maps(looked: LayerActivations, index: int, t: Translator) -> Sheet:
    """Every convolution and pooling layer as maps, every dense layer as bars, the answer at the end."""
    values = [looked.activations[layer.name][index] for layer in looked.layers]
    pictures = [picture_of(value[:SHOWN]) if value.ndim == 3 else None for value in values]
    heights = [BARS if picture is None else size_of(picture)[1] for picture in pictures]
    classes = looked.inspector.model.classes
    sheet = Sheet(
        t("feature_maps", network=looked.network, image=looked.numbers[index]),
        _note(looked, index, t),
        body=1.3 + sum(heights) + SPACE * len(heights) + BARS + 0.45 + names_height(classes),
    )
    side = looked.images.shape[-1]
    _label(sheet, 0.1, t("image"), f"{looked.images.shape[-2]}×{side}")
    sheet.picture(grey(looked.images[index, 0]), LEFT, 0.1, 1.0, 1.0)
    top = 1.3
    for layer, value, picture, height in zip(looked.layers, values, pictures, heights, strict=True):
        kind = "max_pooling" if layer.op == "MaxPool" else layer.kind
        _label(sheet, top, layer.name, t(kind), _size(value, t))
        if picture is None:
            draw_bars(sheet, value, top, t)
        else:
            draw_maps(sheet, picture, value, top, t)
        top += height + SPACE
    _label(sheet, top + 0.15, t("probabilities"))
    draw_bars(sheet, looked.probabilities[index], top + 0.15, t, classes, looked.actual[index])
    return sheet


def _note(looked: LayerActivations, index: int, t: Translator) -> str:
    confidence = t.probability(float(looked.probabilities[index].max()))
    answer = t("feature_maps_note", actual=looked.actual[index], predicted=looked.answer(index), confidence=confidence)
    relu = any(layer.op == "Relu" for layer in looked.inspector.layers)
    return f"{answer} {t('bands_relu' if relu else 'bands')}"


def _label(sheet: Sheet, top: float, name: str, *details: str) -> None:
    sheet.text(MARGIN, top, name, weight="bold", va="top")
    for line, detail in enumerate(details):
        sheet.text(MARGIN, top + 0.2 + 0.17 * line, detail, va="top", size=9, color=GREY)


def _size(value: Floats, t: Translator) -> str:
    if value.ndim == 1:
        return t("units", count=len(value))
    count, height, width = value.shape
    words = "maps_of" if count <= SHOWN else "maps_of_first"
    return t(words, count=count, size=f"{height}×{width}", shown=SHOWN)


def compared(looked: LayerActivations, layer: Layer, t: Translator) -> Sheet:
    """The maps of one layer, one image below the other, and in numbers how alike they are."""
    values = looked.activations[layer.name]
    limit, signed = float(np.abs(values).max()), bool((values < 0).any())
    shown, left = min(values.shape[1], max(16, TOGETHER // len(values) // 16 * 16)), 1.75
    pictures = [picture_of(value[:shown], limit, signed, WIDTH - MARGIN - left) for value in values]
    height = max(size_of(pictures[0])[1], 1.0) + 0.18
    count = len(values)
    sheet = Sheet(
        t("compared", network=looked.network, layer=layer.name),
        f"{_cut(values, shown, t)}{t('compared_note')} {t('bands') if signed else ''}",
        body=0.1 + height * count + (1.0 + 0.32 * count if count > 1 else 0),
    )
    for index, picture in enumerate(pictures):
        top = 0.1 + index * height
        sheet.picture(grey(looked.images[index, 0]), MARGIN, top, 0.75, 0.75)
        sheet.text(MARGIN, top + 0.92, _named(looked, index, t), va="baseline", size=9)
        sheet.picture(picture, left, top, *size_of(picture))
    draw_scale(sheet, limit, signed, left - 0.18, 0.1, 0.75, t)
    if count > 1:
        _alike(sheet, values.reshape(count, -1), looked, 0.1 + height * count, t("alike_note", layer=layer.name), t)
    return sheet


def _cut(values: Floats, shown: int, t: Translator) -> str:
    count = values.shape[1]
    return "" if shown == count else t("compared_cut", shown=shown, count=count) + " "


def _named(looked: LayerActivations, index: int, t: Translator) -> str:
    return t("numbered", number=looked.numbers[index], name=looked.actual[index])


def correlations(rows: Floats) -> NDArray[np.float64]:
    """[N, N] between the rows; a row without any variation is like nothing but itself."""
    centred = rows.astype(np.float64) - rows.mean(axis=1, keepdims=True, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(lengths == 0, 1, lengths)
    alike: NDArray[np.float64] = unit @ unit.T
    np.fill_diagonal(alike, 1)
    return alike


def _alike(sheet: Sheet, rows: Floats, looked: LayerActivations, top: float, note: str, t: Translator) -> None:
    sheet.text(MARGIN, top + 0.2, t("alike"), weight="bold", va="baseline")
    sheet.text(MARGIN, top + 0.4, note, color=GREY, va="baseline")
    alike, count = correlations(rows), len(rows)
    left, top, cell = 2.0, top + 0.75, 0.32
    wide = min(0.6, (WIDTH - MARGIN - left) / count)
    shades = coloured(alike, 1.6, signed=True)
    sheet.picture(shades, left, top, wide * count, cell * count)
    for (row, column), value in np.ndenumerate(alike):
        place = (left + wide * (column + 0.5), top + cell * (row + 0.5))
        sheet.text(*place, t.number(value, 2), ha="center", va="center", size=9 if wide > 0.4 else 8)
    for index in range(count):
        sheet.text(left - 0.1, top + cell * (index + 0.5), _named(looked, index, t), ha="right", va="center", size=9)
        place = (left + wide * (index + 0.5), top - 0.08)
        sheet.text(*place, str(looked.numbers[index]), ha="center", va="baseline", size=9)
