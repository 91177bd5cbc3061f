"""Tell the ink of one digit from the paper it is on: flat or shaded, clean or ruled, dark or light."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

SMALL = 64  # pixels of the longer side on which paper and light are judged
NEIGHBOURHOOD = 7  # of those pixels, the standard deviation
CELLS = 128  # cells along the longer side on which blobs are told apart
WINDOWS = (1 / 8, 1 / 5, 1 / 3)  # widest stroke that is not taken for paper, share of the longer side
FAINTEST = 6  # grey levels that ink must stand out by

Scalar = TypeVar("Scalar", bound=np.generic)
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


def contrast_to_paper(image: Image.Image) -> Bytes:
    """[H, W]: how far each pixel of an RGB picture stands out from the paper, on the ink's side."""
    paper = _even_paper(np.asarray(image))
    if paper is None:
        return _contrast_to_uneven_paper(image)
    red, green, blue = ImageChops.difference(image, Image.new("RGB", image.size, paper)).split()
    return np.asarray(ImageChops.lighter(ImageChops.lighter(red, green), blue))


def separate(contrast: Bytes) -> Floats:
    """The digit's ink in 0..1; paper, noise, specks and frames are 0, and all is where there is no ink."""
    level = _ink_level(contrast)
    if level is None:
        return np.zeros(contrast.shape, np.float32)
    ink = np.clip((contrast - np.float32(0.25 * level)) / np.float32(0.65 * level), 0, 1)
    cells = resized(ink > 0.5, fitted(ink.shape, CELLS) if max(ink.shape) > CELLS else ink.shape) > 0.1
    if not cells.any():  # single pixels, far apart
        return np.zeros(contrast.shape, np.float32)
    return np.where(resized(_digit(_blobs(_grown(cells))), ink.shape) > 0, ink, 0)


def fitted(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """The shape with its longer side set to the box."""
    height, width = (max(1, round(side * box / max(shape))) for side in shape)
    return height, width


def resized(values: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def cropped(values: NDArray[Scalar]) -> NDArray[Scalar]:
    rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
    return values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _even_paper(pixels: Bytes) -> tuple[int, int, int] | None:
    """The paper's colour, where one prevails along the edge and shades of it are rare: drawn, not photographed."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    tones = edge.sum(axis=1) // 3
    crowd = np.convolve(np.bincount(tones, minlength=256), np.ones(9), "same")
    red, green, blue = (int(tone) for tone in np.median(edge[abs(tones - crowd.argmax()) < 6], axis=0))
    off = np.abs(pixels[..., 1].astype(np.int16) - green)
    alike, nearly = float((off < 6).mean()), float(((off >= 6) & (off < 40)).mean())
    is_even = nearly < 0.25 * alike or float((np.abs(edge - (red, green, blue)).max(axis=1) < 4).mean()) > 0.9
    return (red, green, blue) if alike > 0.3 and is_even else None


def paper_of_a_tight_crop(image: Image.Image) -> tuple[int, int, int] | None:
    """Black or white, where there is much of both: a drawing whose ink fills most of the edge, and hardly corners."""
    if _even_paper(np.asarray(image)) is not None:
        return None
    grey = np.asarray(image.convert("L"))
    ends = float((grey < 40).mean()), float((grey > 215).mean())
    if min(ends) < 0.05 or sum(ends) < 0.4:
        return None
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    light = int((grey[[0, 0, -1, -1], [0, -1, 0, -1]] > 127).sum()) + (np.median(edge) > 127)
    return (255, 255, 255) if light > 2 else (0, 0, 0)


def _contrast_to_uneven_paper(image: Image.Image) -> Bytes:
    plane = _plane(image)
    thumbnail = plane.resize(fitted(plane.size, SMALL), Image.Resampling.BOX)
    small = np.asarray(thumbnail, np.float32)
    off = small - np.asarray(thumbnail.filter(ImageFilter.GaussianBlur(NEIGHBOURHOOD)))
    if (off**3).sum() < 0:  # ink is the side to which few pixels lie far off their surroundings: here the dark one
        plane, small = ImageOps.invert(plane), 255 - small
    papers = [without_strokes(small, round(share * SMALL) | 1) for share in WINDOWS]
    for paper in papers:
        behind = resized(paper, plane.size[::-1])
        contrast = np.clip(np.asarray(plane) - behind, 0, 255).astype(np.uint8)
        level = _ink_level(contrast)
        if level is not None and _edges(paper, papers[-1]) < 0.4 * level:
            break
    return contrast


def _plane(image: Image.Image) -> Image.Image:
    """The lightness, or the colour channel in which the ink stands out clearly more."""
    planes = [image.convert("L"), *image.split()]
    spread = [np.asarray(plane.resize((SMALL, SMALL), Image.Resampling.BOX)).std() for plane in planes]
    best = int(np.argmax(spread))
    return planes[best] if spread[best] > 1.3 * spread[0] else planes[0]


def without_strokes(light: Floats, window: int) -> Floats:
    """What is light over less than a window, darkened to its surroundings (a morphological opening)."""
    for extreme in (np.minimum, np.maximum):
        light = _over_windows(extreme, _over_windows(extreme, light, window).T, window).T
    return light


def _over_windows(extreme: np.ufunc, values: Floats, window: int) -> Floats:
    """The least or greatest of each pixel and those above and below it, within an odd number of rows."""
    values, reach = np.pad(values, ((window // 2, window // 2), (0, 0)), "edge"), 1
    while reach < window:
        step = min(reach, window - reach)
        values, reach = extreme(values[:-step], values[step:]), reach + step
    return values


def _edges(paper: Floats, surest: Floats) -> float:
    """The paper's steepest edge where the surest has none: left there by strokes wider than the window."""
    return max(
        float((np.abs(paper[2:] - paper[:-2]) - np.abs(surest[2:] - surest[:-2])).max(initial=0)),
        float((np.abs(paper[:, 2:] - paper[:, :-2]) - np.abs(surest[:, 2:] - surest[:, :-2])).max(initial=0)),
    )


def _ink_level(contrast: Bytes) -> float | None:
    """The usual contrast of ink: the mean of the upper class (Otsu) of what rises above the noise; None if noise."""
    tones, counts = np.arange(256), np.bincount(contrast.ravel(), minlength=256)
    calm = np.where(tones <= int(contrast.max()) // 2, counts, 0)
    middle = _median(calm)
    noise = max(middle + 4.5 * _median(np.bincount(np.abs(tones - middle), calm)), FAINTEST)
    counts = np.where(tones > noise, counts, 0)
    if counts.sum() < 4:
        return None
    below, sums = counts.cumsum(), (counts * tones).cumsum()
    above, rest = below[-1] - below, sums[-1] - sums
    between = below * above * (rest / np.maximum(above, 1) - sums / np.maximum(below, 1)) ** 2
    split = int(between.argmax())
    level = float(rest[split] / above[split] if above[split] else sums[-1] / below[-1])
    return level if level > 1.8 * noise else None


def _median(counts: NDArray[np.number[Any]]) -> int:
    return int(np.searchsorted(counts.cumsum(), counts.sum() / 2))


def _grown(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Each pixel the greatest of its 3×3 neighbourhood."""
    v = np.pad(values, 1)
    v = np.maximum(np.maximum(v[:-2], v[1:-1]), v[2:])
    return np.maximum(np.maximum(v[:, :-2], v[:, 1:-1]), v[:, 2:])


def _blobs(mask: Mask) -> Labels:
    """Labels of the 8-connected blobs of a mask, 0 outside: each run of a row is joined to those it touches above."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))).ravel()  # one longer than a row, each row
    starts, ends, below = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), mask.shape[1] + 1
    first = np.searchsorted(ends + below, starts).tolist()
    last = np.searchsorted(starts + below, ends, side="right").tolist()
    blob = list(range(len(starts)))  # of each run, by the number of an earlier one

    def root(run: int) -> int:
        while blob[run] != run:
            run = blob[run]
        return run

    for run, above in enumerate(map(range, first, last)):
        for other in above:
            one, another = sorted((root(run), root(other)))
            blob[another] = one
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat([root(run) + 1 for run in blob], ends - starts)
    return labels


def _digit(blobs: Labels) -> Mask:
    """The largest blob that is no frame, and those near it that are no specks."""
    names, counts = np.unique(blobs[blobs > 0], return_counts=True)
    found = [_Blob.of(blobs == name) for name in names[counts.argsort(kind="stable")[::-1][:16]]]
    digit, *rest = [blob for blob in found if not any(blob.frames(other) for other in found)] or found
    while near := [blob for blob in rest if digit.reaches(blob)]:
        rest = [blob for blob in rest if blob not in near]
        digit = _Blob.of(np.any([digit.mask, *(blob.mask for blob in near)], axis=0))
    return digit.mask


@dataclass(frozen=True, eq=False)
class _Blob:
    mask: Mask
    box: NDArray[np.intp]  # top, left, bottom, right

    @classmethod
    def of(cls, mask: Mask) -> "_Blob":
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return cls(mask, np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]))

    @property
    def extent(self) -> int:
        return int((self.box[2:] - self.box[:2]).max())

    def reaches(self, other: "_Blob") -> bool:
        gap = np.maximum(self.box[:2] - other.box[2:], other.box[:2] - self.box[2:]).max()
        is_alike = 0.6 * self.extent < other.extent  # a second digit: seen with the first, the two are no digit
        return other.extent > 0.15 * self.extent and gap < (0.6 if is_alike else 0.2) * self.extent

    def frames(self, other: "_Blob") -> bool:
        """Whether this runs around the other, or along the page's edge beside it."""
        if other is self or other.extent < 0.08 * max(self.mask.shape):
            return False
        around = bool((other.box[:2] > self.box[:2]).all() and (other.box[2:] < self.box[2:]).all())
        if around and other.extent > 0.3 * self.extent:
            return self._along(self.box) > 0.7
        page = np.array([0, 0, *self.mask.shape])
        return bool((self.box == page).any()) and self._along(page) > 0.7 and other._along(page) < 0.5

    def _along(self, box: NDArray[np.intp]) -> float:
        """The share of this that lies in the outer 15 % of the box."""
        top, left, bottom, right = box
        y, x = round(0.15 * (bottom - top)), round(0.15 * (right - left))
        inside = self.mask[top + y : bottom - y, left + x : right - x].sum()
        return 1 - float(inside / self.mask.sum())
