"""Inside a network: what its first layer looks for, and what its layers make of test images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from serve.inference.layers import Inspector, Layer
from stages.core.figures import panels
from stages.core.figures.panels import Floats
from stages.core.figures.style import DIVERGING, GREY, WIDTH, add_note, page
from stages.core.figures.words import Translator

DRAWN = ("convolution", "pooling", "dense")
SHOWN = 128  # filters or maps of a layer
TOGETHER = 256  # maps of all images that are compared
UNITS = 32  # of a dense first layer
HEAD = 0.42  # inches of a layer's name and what surrounds its maps


@dataclass(frozen=True)
class LayerActivations:
    """Test images, and what every layer of a network made of them."""

    inspector: Inspector
    numbers: list[int]
    """Of the images within the test set."""
    images: NDArray[np.uint8]
    """[N, C, H, W]"""
    actual: list[str]

    @cached_property
    def activations(self) -> dict[str, Floats]:
        return self.inspector.activations(self.images)

    @property
    def network(self) -> str:
        return self.inspector.model.network

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self.inspector.layers if layer.kind in DRAWN]

    def named(self, index: int, t: Translator) -> str:
        return t("numbered", number=self.numbers[index], name=self.actual[index])

    @property
    def probabilities(self) -> Floats:
        return self.inspector.answer_of(self.activations)


def filters(inspector: Inspector, images: NDArray[np.uint8], t: Translator) -> Figure:
    """`images` [N, C, H, W] tell which units of a dense first layer are the most active."""
    layer = next(layer for layer in inspector.layers if layer.kind in ("convolution", "dense"))
    weights = inspector.weights(layer.name)
    pictures, count = weights["weight"], len(weights["weight"])
    if layer.kind == "convolution":
        chosen, title, which = np.arange(count)[:SHOWN], "filters", first(count, SHOWN, t)
    else:
        pictures = pictures.reshape(count, *inspector.model.input_shape)
        chosen, title = most_active(inspector.activations(images)[layer.name]), "units_filters"
        which = t("units_filters_note", count=len(chosen), size="×".join(map(str, pictures.shape[2:])))
    biases = weights.get("bias")
    labels = [f"{n + 1}" if biases is None else f"{n + 1}   b {t.number(float(biases[n]))}" for n in chosen]
    note = f"{which} {t('filters_note')} {t('numbers' if biases is None else 'biases')}".strip()
    shown = pictures[chosen].mean(axis=1)
    rows = -(-len(shown) // 8)
    title = t(title, network=inspector.model.network, layer=layer.name, count=count)
    figure, body = page(title, note, height=1.2 + rows * WIDTH / 8 * (1 + panels.LABEL) * 0.82)
    limit = float(np.abs(shown).max()) or 1.0
    axes = body.subplots()
    image = panels.show(axes, shown, 8, panels.Scale(DIVERGING, -limit, limit), labels)
    panels.add_colorbar(image, t, 1 / rows / (1 + panels.LABEL))
    return figure


def most_active(activations: Floats) -> NDArray[np.intp]:
    """Of [N, units], the units with the largest mean above zero, largest first."""
    return np.argsort(-activations.clip(min=0).mean(axis=0), kind="stable")[:UNITS]


def feature_maps(looked: LayerActivations, index: int, t: Translator) -> Figure:
    """Every convolution and pooling layer as maps, every dense layer as bars, the answer at the end."""
    values = [_without_sides(looked.activations[layer.name][index]) for layer in looked.layers]
    heights = [1.0, *map(_height, values), 0.8]
    classes, probabilities = looked.inspector.model.classes, looked.probabilities[index]
    said = {"predicted": classes[probabilities.argmax()], "confidence": t.probability(float(probabilities.max()))}
    relu = any(layer.op == "Relu" for layer in looked.inspector.layers)
    note = f"{t('feature_maps_note', actual=looked.actual[index], **said)} {t('bands_relu' if relu else 'bands')}"
    title = t("feature_maps", network=looked.network, image=looked.numbers[index])
    figure, body = page(title, note, height=sum(heights) + HEAD * len(heights) + 1.0)
    first, *middle, last = body.subplots(len(heights), 1, height_ratios=[height + HEAD for height in heights])
    panels.show(first, panels.pictures(looked.images[index : index + 1]), 1)
    _head(first, f"{t('image')}  {'×'.join(map(str, looked.images.shape[2:]))}")
    for axes, layer, value in zip(middle, looked.layers, values, strict=True):
        _head(axes, layer.name, _details(layer, value, t))
        if value.ndim == 1:
            panels.show_units(axes, value, t)
        else:
            image = panels.show(axes, value[:SHOWN], _columns(value), panels.scale_of(value))
            panels.add_colorbar(image, t)
    _head(last, t("probabilities"))
    panels.show_probabilities(last, probabilities, classes, looked.actual[index], t)
    return figure


def _without_sides(value: Floats) -> Floats:
    """What pooling over whole maps leaves is a unit each."""
    return value[:, 0, 0] if value.shape[1:] == (1, 1) else value


def _columns(maps: Floats) -> int:
    return 8 if len(maps) <= 16 else 16


def _height(value: Floats) -> float:
    """Inches of its maps over the whole width, or of its bars."""
    if value.ndim == 1:
        return 0.6
    rows = -(-min(len(value), SHOWN) // _columns(value))
    return float(0.9 * WIDTH / _columns(value) * rows * value.shape[1] / value.shape[2])


def _head(axes: Axes, name: str, details: str = "") -> None:
    axes.set_title(name, weight="bold")
    axes.set_title(details, loc="right", size=9, color=GREY)


def _details(layer: Layer, value: Floats, t: Translator) -> str:
    kind, count = t("max_pooling" if "MaxPool" in layer.op else layer.kind), len(value)
    if value.ndim == 1:
        return f"{kind}, {t('units', count=count)}"
    said = f"{kind}, {t('maps', count=count, size='×'.join(map(str, value.shape[1:])))}"
    return f"{said}, {first(count, SHOWN, t)}".rstrip(", .")


def first(count: int, shown: int, t: Translator) -> str:
    return f"{t('first', shown=shown, count=count)}." if shown < count else ""


def compared(looked: LayerActivations, layer: Layer, t: Translator) -> Figure:
    """The maps of one layer, one image below the other, and in numbers how alike they are."""
    values = looked.activations[layer.name]
    count, maps = values.shape[:2]
    shown = min(maps, max(16, TOGETHER // count // 16 * 16))
    parts = [first(maps, shown, t), t("compared_note"), t("bands") if (values < 0).any() else ""]
    note = " ".join(filter(None, parts))
    title = t("compared", network=looked.network, layer=layer.name)
    heights = [count * max(1.0, 0.8 * _height(values[0, :shown]) + HEAD), 0.8 + 0.35 * count]
    figure, body = page(title, note, height=1.0 + sum(heights))
    above, below = body.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    scale = panels.scale_of(values)
    for index, (left, right) in enumerate(above.subplots(count, 2, squeeze=False, width_ratios=[1, 8])):
        panels.show(left, panels.pictures(looked.images[index : index + 1]), 1)
        left.set_title(looked.named(index, t), size=9)
        image = panels.show(right, values[index, :shown], _columns(values[0, :shown]), scale)
        panels.add_colorbar(image, t)
    _show_alike(below, correlations(values.reshape(count, -1)), looked, layer, t)
    return figure


def correlations(rows: Floats) -> NDArray[np.float64]:
    """[N, N] between the rows; 0 for one without any variation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        alike: NDArray[np.float64] = np.nan_to_num(np.atleast_2d(np.corrcoef(rows)))
    return alike


def _show_alike(part: SubFigure, alike: Floats, looked: LayerActivations, layer: Layer, t: Translator) -> None:
    add_note(part, t("alike", layer=layer.name))
    axes, places = part.subplots(), range(len(alike))
    panels.show_numbers(axes, alike * 0.6, np.array([[t.number(value) for value in row] for row in alike]))
    axes.set_yticks(places, [looked.named(index, t) for index in places])
    axes.set_xticks(places, [str(number) for number in looked.numbers])
