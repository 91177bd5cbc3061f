"""Find the sheet of paper in a photo that shows the table around it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serve.pictures.ink import FAINTEST, SMALL, Floats, Mask, Scalar, cropped, fitted, without_strokes

WIDEST_STROKE = 9  # of SMALL pixels; what is darker over less is taken for writing
CLEAR = 25  # grey levels between sheet and table
LEAST = 0.3  # of the picture, for a sheet
Box = tuple[int, int, int, int]


def sheet(image: Image.Image) -> Box | None:
    """Left, top, right and bottom within a light sheet with writing that lies on something darker on all sides."""
    thumbnail = image.convert("L").resize(fitted(image.size, SMALL), Image.Resampling.BOX)
    small = np.asarray(thumbnail, np.float32)
    plain = 255 - without_strokes(255 - small, WIDEST_STROKE)
    light = _light(plain)
    if light is None or not _is_a_sheet(light):
        return None
    left, top, right, bottom = _within(light)
    if min(right - left, bottom - top) < SMALL // 4 or (plain - small)[top:bottom, left:right].max() < FAINTEST:
        return None
    across, down = image.width / light.shape[1], image.height / light.shape[0]
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def _light(plain: Floats) -> Mask | None:
    """What is lighter than the edge of the picture, where there is little in between."""
    table, brightest = float(np.median(_edge(plain))), float(np.percentile(plain, 96))
    if brightest - table < CLEAR:
        return None
    share = (plain - table) / (brightest - table)
    between = float(((share > 0.15) & (share < 0.45)).mean())
    return share > 0.3 if between < 0.2 else None


def _is_a_sheet(light: Mask) -> bool:
    if _edge(light).mean() > 0.02 or light.mean() < LEAST:
        return False
    found = cropped(light)
    return min(found.shape) > 0.5 * max(found.shape) and bool(found.mean() > 0.75)


def _edge(values: NDArray[Scalar]) -> NDArray[Scalar]:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _within(light: Mask) -> Box:
    """A box of nothing but light: its worst side moves inwards until that is so."""
    rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
    left, top, right, bottom = (int(at) for at in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    while right - left > 2 and bottom - top > 2:
        inside = light[top:bottom, left:right]
        dark = [1 - float(side.mean()) for side in (inside[:, 0], inside[0], inside[:, -1], inside[-1])]
        worst = int(np.argmax(dark))
        if dark[worst] == 0:
            break
        left, top, right, bottom = (
            left + (worst == 0), top + (worst == 1), right - (worst == 2), bottom - (worst == 3)
        )  # fmt: skip
    return left + 1, top + 1, right - 1, bottom - 1
