"""Parts that several figures share: many small pictures in one, coloured numbers, the bars of a layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgb
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from stages.core.figures.style import BLUE, DIVERGING, FAINT, GRAYS, GREY, INK, ORANGE, VIRIDIS
from stages.core.figures.words import Translator

Floats = NDArray[np.floating[Any]]

SIDE = 48  # pixels that a small picture is enlarged to, so that the lines around it stay thin
LABEL = 0.3  # of a picture's height, for a label below it
LABELLED = 20  # bars, or rows of a table, up to which each has its number
EMPTY = 1e30  # beyond every scale, and so white
NAMES = 60  # letters of all class names up to which they stand side by side


class Scale(NamedTuple):
    colours: Colormap
    low: float
    high: float


PIXELS = Scale(GRAYS, 0, 255)  # light on dark, as the network gets an image


def scale_of(values: Floats) -> Scale:
    """Blue below zero, white at zero, orange above; viridis where nothing is below zero."""
    limit = float(np.abs(values).max()) or 1.0
    return Scale(DIVERGING, -limit, limit) if (values < 0).any() else Scale(VIRIDIS, 0, limit)


def mosaic(pictures: NDArray[Any], columns: int, label: float = 0) -> NDArray[np.float64]:
    """[N, H, W] in rows of `columns`: NaN frames each, `EMPTY` is the rest, such as `label` heights below each."""
    factor = -(-SIDE // pictures.shape[2])
    large = pictures.repeat(factor, axis=1).repeat(factor, axis=2).astype(np.float64)
    framed = np.pad(large, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    missing, below, beside = -len(pictures) % columns, round(label * large.shape[1]), round(label * large.shape[2] / 4)
    cells = np.pad(framed, ((0, missing), (0, below), (0, beside)), constant_values=EMPTY)
    count, height, width = cells.shape
    rows = cells.reshape(count // columns, columns, height, width).swapaxes(1, 2)
    return rows.reshape(count // columns * height, columns * width)


def in_colour(planes: Sequence[Floats]) -> Floats:
    """[H, W, 1 or 3], from 0 to 1, of each plane of mosaics: frames are faint, the rest is white."""
    whole = np.stack(planes, axis=-1) / 255
    whole[np.isnan(planes[0])] = to_rgb(FAINT)[: len(planes)]
    return whole.clip(0, 1)


def show(
    axes: Axes, pictures: NDArray[Any], columns: int, scale: Scale = PIXELS, labels: Sequence[str] = ()
) -> AxesImage:
    """[N, H, W], or [N, 3, H, W] in colour, in rows of `columns`, a label below each."""
    below = LABEL if labels else 0
    if pictures.ndim == 4:
        values = in_colour([mosaic(plane, columns, below) for plane in pictures.swapaxes(0, 1)])
    else:
        values = mosaic(pictures, columns, below)
    width, height = values.shape[1] / columns, values.shape[0] / -(-len(pictures) // columns)
    for number, text in enumerate(labels):
        place = (width * (number % columns + 0.5), height * (number // columns + 1.03 / (1 + LABEL)))
        axes.text(*place, text, ha="center", va="top", size=8, color=GREY)
    axes.set_axis_off()
    axes.set_anchor("NW")
    return axes.imshow(values, cmap=scale.colours, vmin=scale.low, vmax=scale.high)


def pictures(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, C, H, W] as `show` takes them: one plane of grey has no channels."""
    return images if images.shape[1] == 3 else images[:, 0]


def show_image(axes: Axes, image: NDArray[np.uint8]) -> AxesImage:
    """[C, H, W] as the network gets it: in grey, light on dark, or in colour."""
    if len(image) == 3:
        return axes.imshow(image.transpose(1, 2, 0))
    return axes.imshow(image[0], cmap=PIXELS.colours, vmin=PIXELS.low, vmax=PIXELS.high)


def add_colorbar(image: AxesImage, t: Translator, height: float = 1) -> None:
    """To the right of the image, down from its top; `height` is a share of the image's."""
    inset, (low, high) = image.axes.inset_axes((1.02, 1 - height, 0.015, height)), image.get_clim()
    marks = sorted({low, 0.0, high})
    bar = image.axes.figure.colorbar(image, cax=inset, ticks=marks, format=lambda value, _: t.short(value))
    bar.outline.set_visible(False)
    inset.tick_params(length=0, labelsize=8)


def show_numbers(axes: Axes, colours: Floats, texts: NDArray[np.str_]) -> None:
    """A table whose cells are coloured from -1 (blue) to 1 (orange)."""
    rows, columns = map(range, colours.shape)
    axes.pcolormesh(columns, rows, colours, cmap=DIVERGING, vmin=-1, vmax=1, edgecolors=FAINT, lw=0.5)
    for (row, column), text in np.ndenumerate(texts):
        ink = "white" if abs(colours[row, column]) > 0.6 else INK
        axes.text(column, row, text, ha="center", va="center", color=ink)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()


def show_units(axes: Axes, values: Floats, t: Translator) -> None:
    """One bar per unit, without gaps between them."""
    edges = np.arange(len(values) + 1) - 0.5
    for part, colour in ((values.clip(min=0), ORANGE), (values.clip(max=0), BLUE)):
        axes.stairs(part, edges, fill=True, color=colour)
    axes.axhline(0, color=GREY, lw=0.8)
    marks = {float(values.min()), 0.0, float(values.max())}
    axes.set_yticks(sorted(marks), [t.short(mark) for mark in sorted(marks)])
    axes.set(xlim=(edges[0], edges[-1]), xticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)


def show_probabilities(axes: Axes, values: Floats, classes: Sequence[str], actual: str, t: Translator) -> None:
    """One bar per class, with its percentage; the true class in bold."""
    bars = axes.bar(range(len(classes)), values, color=ORANGE)
    if len(classes) <= LABELLED:
        axes.bar_label(bars, [t.probability(float(value), 0) for value in values], size=9, color=GREY)
    axes.set_xticks(range(len(classes)), classes, rotation=rotation(classes), color=INK)
    axes.get_xticklabels()[list(classes).index(actual)].set_fontweight("bold")
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(0, 1.25), yticks=[])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)


def rotation(names: Sequence[str]) -> int:
    """Of class names below an axis: upright where they are too long to stand side by side."""
    return 90 if sum(map(len, names)) > NAMES else 0
