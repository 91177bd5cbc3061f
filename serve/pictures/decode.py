"""From the bytes of a picture file to RGB: upright, 8 bits, opaque, and bounded before anything is decoded."""

import io
import warnings
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

MAX_BYTES = 10_000_000  # of one encoded picture
MAX_PIXELS = {"PNG": 4_000_000, "JPEG": 25_000_000}  # as its header declares; JPEG decodes straight to few
DRAWINGS = ("PNG", "JPEG")
PHOTOGRAPHS = (*DRAWINGS, "WEBP", "BMP", "TIFF")

# The bounds here are tighter, and Pillow's words would stand between the lines of the server's log.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class PrepareError(ValueError):
    """Why a picture cannot be prepared, in one line."""


class TooLargeError(PrepareError):
    """More bytes or pixels than are read."""


def decoded(data: bytes, smallest: int, formats: tuple[str, ...] = DRAWINGS, largest: int | None = None) -> Image.Image:
    """The first picture of the file, the way up that its EXIF says.

    Args:
        smallest: pixels a side that suffice: a JPEG may come with fewer than it has.
        largest: pixels that are read at most, instead of what a stranger may send.

    Raises:
        PrepareError: of another format, damaged, or too large.
    """
    if largest is None and len(data) > MAX_BYTES:
        raise TooLargeError(f"the image has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = largest or max(MAX_PIXELS.values())
        raise TooLargeError(f"the image is huge; at most {most:,} pixels are read") from error
    except Exception as error:  # hostile bytes make Pillow raise many kinds
        raise PrepareError(f"not a {', '.join(formats[:-1])} or {formats[-1]} image") from error
    kind = "JPEG" if image.format == "MPO" else str(image.format)  # the JPEG of phones that holds several pictures
    most = largest or MAX_PIXELS.get(kind, MAX_PIXELS["PNG"])
    if image.width * image.height > most:
        size = f"{image.width} × {image.height}"
        raise TooLargeError(f"the {kind} has {size} pixels; at most {most:,} are read")
    try:
        image.draft("RGB", (smallest, smallest))  # lets JPEG decode straight to a smaller size
        return ImageOps.exif_transpose(image)
    except Exception as error:
        raise PrepareError("the image is damaged: it cannot be decoded to its end") from error


def flat(image: Image.Image, opaque: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """RGB, 8 bits; `opaque` makes it of RGBA."""
    if image.mode.startswith(("I", "F")):  # 16 bits, which Pillow would clip
        values = np.asarray(image, np.float32)
        unit = 257 if values.max(initial=0) > 255 else 1  # some programs keep 8 bits in them
        image = Image.fromarray((values / unit).clip(0, 255).astype(np.uint8))
    return opaque(image.convert("RGBA")) if image.has_transparency_data else image.convert("RGB")
