"""A whole picture at the size of a network: photographs as they are, clothes on a dark ground."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serve.pictures.decode import PHOTOGRAPHS, decoded, flat

GAP = 1.5  # times the wanted size is what a JPEG is decoded to at least, so that it looks as if decoded whole
MAX_PIXELS = 100_000_000  # of a picture that its owner keeps

Bytes = NDArray[np.uint8]
Size = tuple[int, int]


def _stretched(image: Image.Image, size: Size) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR)


def _padded(image: Image.Image, size: Size) -> Image.Image:
    return ImageOps.pad(image, size, Image.Resampling.BILINEAR)


def _cropped(image: Image.Image, size: Size) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.BILINEAR)


FITS: dict[str, Callable[[Image.Image, Size], Image.Image]] = {
    "crop": _cropped,  # to its middle
    "pad": _padded,  # with black
    "stretch": _stretched,
}


def whole(image: bytes | Image.Image, shape: tuple[int, int, int], fit: str, largest: int | None = None) -> Bytes:
    """[C, H, W] of a photograph, its transparency on white; grey where C is 1.

    Raises:
        PrepareError: not a picture, damaged, or of more than `largest` pixels.
    """
    channels, height, width = shape
    if isinstance(image, bytes):
        image = decoded(image, round(GAP * max(height, width)), PHOTOGRAPHS, largest)
    fitted = FITS[fit](flat(image, _on_white), (width, height))
    pixels = np.asarray(fitted if channels == 3 else fitted.convert("L"))
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
