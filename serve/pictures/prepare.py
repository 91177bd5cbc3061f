"""Set pictures of digits the way MNIST set its own (LeCun et al., 1998), whatever they were drawn on."""

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from serve.pictures.decode import MAX_BYTES, MAX_PIXELS, PrepareError, TooLargeError, decoded, flat
from serve.pictures.ink import contrast_to_paper, cropped, fitted, paper_of_a_tight_crop, resized, separate
from serve.pictures.sheet import sheet
from serve.pictures.whole import whole

if TYPE_CHECKING:
    from serve.inference.model import Model

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "PrepareError",
    "TooLargeError",
    "frame",
    "prepare",
    "prepare_for",
    "takes_digits",
]

# What files say that do not say it themselves, since they are older, by their data set.
CRISP, THING = {"picture": "digit", "softness": 0.0}, {"picture": "thing"}
OF_DATASET = {"digits": {"picture": "digit", "softness": 0.7}, "mnist": CRISP, "qmnist": CRISP, "emnist_digits": CRISP}
WORK = 512  # pixels of the longer side while looking for the ink
FINE = 80  # pixels of the digit's longer side while setting its stroke: four times MNIST's
THINNEST, USUAL, THICKEST = 0.12, 0.135, 0.165  # strokes that MNIST and digits have in common, share of the longer side
FRAMED = (0.075, 0.35)  # strokes of what is framed already, as MNIST's own are

Ink = NDArray[np.floating[Any] | np.uint8]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def prepare(image: bytes | Image.Image, size: int = 28, softness: float = 0.0) -> Bytes:
    """A drawing or photo of one digit as [size, size], light on dark, framed as MNIST's are, its edges as soft as said.

    Raises:
        PrepareError: not a PNG or JPEG, damaged, too large, or without ink.
    """
    picture = opened(image)
    if paper := paper_of_a_tight_crop(picture):
        return prepare(ImageOps.expand(picture, max(picture.size) // 4 + 1, paper), size, softness)
    contrast = contrast_to_paper(picture)
    if contrast.shape == (size, size) and _is_framed(contrast):  # one of MNIST's, or like them: nothing is to be done
        return contrast
    if box := sheet(picture):
        return prepare(picture.crop(box), size, softness)
    ink = separate(contrast)
    if not ink.any():
        raise PrepareError("the image is empty: no ink stands out from the paper")
    if panel := _panel(ink > 0.5):
        return prepare(picture.crop(panel), size, softness)
    return softened(frame(_with_usual_stroke(cropped(ink)), size), softness)


def preparation(model: "Model") -> Mapping[str, Any]:
    """How the images were prepared that the model learned from, as its file says.

    `picture` is what they show: a `digit` in its ink, with edges of a `softness`; a `thing` by itself, grey on dark;
    or the `whole` picture, resized by a `fit` of FITS.
    """
    told = model.metadata.get("preparation")
    by_dataset: Mapping[str, Any] = OF_DATASET.get(str(model.metadata.get("dataset", "mnist")), THING)
    return told if isinstance(told, Mapping) and told.get("picture") in ("digit", "thing", "whole") else by_dataset


def takes_digits(model: "Model") -> bool:
    return bool(preparation(model)["picture"] == "digit") and model.input_shape[1] == model.input_shape[2]


def prepare_for(model: "Model", image: bytes | Image.Image, largest: int | None = None) -> Bytes:
    """[C, H, W] as the model takes it. Raises PrepareError.

    Args:
        largest: pixels of a photograph that are read at most, instead of what a stranger may send.
    """
    told = preparation(model)
    channels, height, width = model.input_shape
    if told["picture"] == "whole" and channels in (1, 3):
        return whole(image, model.input_shape, told.get("fit", "crop"), largest)
    if takes_digits(model):
        pixels = prepare(image, height, float(told.get("softness", 0.0)))
    else:
        pixels = thing(image, (height, width))
    return np.repeat(pixels[None], channels, axis=0)


def thing(image: bytes | Image.Image, shape: tuple[int, int]) -> Bytes:
    """The picture in grey, its aspect kept, on a dark ground: inverted where its edge is light, as clothes were."""
    grey: Bytes = np.asarray(opened(image).convert("L"))
    edge = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    grey = 255 - grey if edge > 127 else grey
    if grey.shape == shape:
        return grey
    scale = min(shape[0] / grey.shape[0], shape[1] / grey.shape[1])
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    ground = np.full(shape, min(edge, 255 - edge), np.float32)
    ground[top : top + height, left : left + width] = resized(grey, (height, width))
    return np.asarray(np.rint(ground), np.uint8)


def frame(ink: Ink, size: int = 28) -> Bytes:
    """Cropped to its ink, fitted into the middle 20/28 of the frame, centre of mass at the centre.

    Args:
        ink: [H, W], light ink on a background of exactly 0, in any unit.

    Returns:
        [size, size], the strongest ink at 255; empty where there is no ink.
    """
    framed = np.zeros((size, size), np.uint8)
    if not ink.any():
        return framed
    ink = cropped(ink)
    digit = resized(ink, fitted(ink.shape, round(size * 20 / 28)))
    height, width = digit.shape
    top, left = (_offset(digit.sum(axis=axis), size) for axis in (1, 0))
    framed[top : top + height, left : left + width] = np.rint(digit * (255 / digit.max()))
    return framed


def softened(framed: Bytes, softness: float) -> Bytes:
    blur = ImageFilter.GaussianBlur(softness * len(framed) / 28)
    soft = np.asarray(Image.fromarray(framed).filter(blur), np.float32)
    return np.asarray(np.rint(soft * (255 / soft.max())), np.uint8)


def _offset(profile: Floats, size: int) -> int:
    """Where to put the first row (column) so that the centre of mass lies on index size / 2."""
    centre = float(profile @ np.arange(len(profile)) / profile.sum())
    return min(max(round(size / 2 - centre), 0), size - len(profile))


def _is_framed(contrast: Bytes) -> bool:
    size, ink = len(contrast), np.where(contrast > 40, contrast, 0).astype(float)
    if contrast.max() < 200 or np.median(contrast) > 8:
        return False
    centres = [float(ink.sum(axis=axis) @ np.arange(size) / ink.sum()) for axis in (0, 1)]
    off_centre = max(abs(centre - size / 2) for centre in centres)
    if off_centre >= 1.2 or abs(max(cropped(ink).shape) - size * 20 / 28) >= 1.5:
        return False
    return FRAMED[0] < _stroke(_large(cropped(ink))) / FINE < FRAMED[1]


def _panel(ink: Mask) -> tuple[int, int, int, int] | None:
    """The inside of a filled rectangle with holes, as left, top, right and bottom: a picture within the picture."""
    height, width = cropped(ink).shape
    rows = np.flatnonzero(ink.sum(axis=1) > 0.8 * width)
    columns = np.flatnonzero(ink.sum(axis=0) > 0.8 * height)
    if rows.size < 16 or columns.size < 16:
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    filled = ink[top:bottom, left:right]
    sides = (filled[0], filled[-1], filled[:, 0], filled[:, -1])
    is_whole = min(filled.shape[0] / height, filled.shape[1] / width) > 0.85  # ticks may stick out
    if not is_whole or min(side.mean() for side in sides) < 0.98 or not 0.4 < filled.mean() < 0.99:
        return None
    return int(left) + 2, int(top) + 2, int(right) - 2, int(bottom) - 2


def _with_usual_stroke(ink: Floats) -> Floats:
    """Strokes that would vanish in MNIST's small box, or fill it, drawn again with a pen like its writers'."""
    mask = _large(ink)
    width = _stroke(mask)
    if THINNEST * FINE <= width <= THICKEST * FINE:
        return ink
    radius = (USUAL * FINE - width) / 2
    redrawn = _thickened(mask, radius) if radius > 0 else ~_thickened(~mask, -radius)
    return (redrawn if redrawn.any() else mask).astype(np.float32)


def _large(ink: Ink) -> Mask:
    """Where the ink is, its longer side FINE, with room for a thicker pen."""
    small = resized(ink, fitted(ink.shape, FINE))
    return np.pad(small > 0.5 * np.percentile(small[small > 0.05 * small.max()], 90), round(FINE * USUAL))


def _stroke(mask: Mask) -> float:
    """The width of strokes: their area over half of their outline, which steps lengthen."""
    edges = sum(int(np.diff(mask, axis=axis).sum()) for axis in (0, 1))
    return float(2 * (4 / np.pi) * mask.sum() / edges)


def _thickened(mask: Mask, radius: float) -> Mask:
    reach = range(-int(radius), int(radius) + 1)
    thick = mask.copy()
    for y, x in product(reach, reach):
        if y * y + x * x <= radius**2:
            thick |= np.roll(mask, (y, x), (0, 1))
    return thick


def opened(image: bytes | Image.Image) -> Image.Image:
    """Decoded, upright, RGB, and no larger than the ink's finder needs."""
    upright = flat(decoded(image, WORK) if isinstance(image, bytes) else image, _on_paper)
    step = -(-max(upright.size) // WORK)
    return upright.reduce(step) if step > 1 else upright


def _on_paper(image: Image.Image) -> Image.Image:
    """Transparency filled with the page's own colour, or where there is only ink, with its contrary."""
    opaque = np.asarray(image.getchannel("A")) > 127
    tones = np.asarray(image.convert("RGB").convert("L"))[opaque]
    tone = int(np.median(tones)) if tones.size else 0
    paper = tone if opaque.mean() > 0.5 else 255 if tone < 128 else 0
    return Image.alpha_composite(Image.new("RGBA", image.size, (paper, paper, paper, 255)), image).convert("RGB")
