"""Digits as people draw, scan and photograph them, for want of a free set of real ones.

MNIST's test digits are taken apart into strokes, bent a little, and drawn again with other pens on other pages.
Every kind of picture shows the same digits, so that kinds compare; the same seed gives the same bytes.
"""

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bench.strokes import Array, Bytes, Strokes
from serve.pictures.prepare import frame

Colour = tuple[int, ...]
Random = np.random.Generator
WHITE, CREAM, SNOW, GREY, BLACK = (255,) * 3, (240, 230, 205), (225, 228, 230), (170,) * 3, (0,) * 3
BLUE, RED, GREEN, YELLOW, CHALK = (40, 60, 150), (190, 40, 40), (30, 120, 60), (255, 200, 0), (225, 225, 215)


def ruled(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    width, height = page.im.size
    gap, line = min(width, height) * rng.uniform(0.08, 0.25), max(1, round(height * rng.uniform(0.002, 0.005)))
    tilt, ink = width * rng.uniform(-0.03, 0.03), tuple(int(tone * 0.8) for tone in paper[:2]) + paper[2:]
    for at in np.arange(-gap, height + gap, gap):
        page.line((0, at, width, at + tilt), ink, line)


def grid(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    width, height = page.im.size
    gap, line = min(width, height) * rng.uniform(0.04, 0.2), max(1, round(height * rng.uniform(0.002, 0.005)))
    ink = tuple(int(tone * 0.85) for tone in paper)
    for at in np.arange(gap / 2, max(width, height), gap):
        page.line((0, at, width, at), ink, line)
        page.line((at, 0, at, height), ink, line)


def specks(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    width, height = page.im.size
    for x, y, radius in rng.random((25, 3)) * (width, height, 0.004 * height):
        ink = tuple(int(tone * rng.uniform(0.2, 0.8)) for tone in paper)
        page.ellipse((x - radius, y - radius, x + radius, y + radius), ink)


def box(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    width, height = page.im.size
    edge = min(width, height) * rng.uniform(0.02, 0.12)
    page.rectangle((edge, edge, width - edge, height - edge), None, (60, 60, 60), max(1, height // 100))


def table(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    """Dark wood along some of the paper's sides."""
    width, height = page.im.size
    wood = tuple(int(tone * rng.uniform(0.4, 1.2)) for tone in (90, 60, 40))
    top, left, bottom = rng.uniform(0, 0.13, 3) * (rng.random(3) < 0.6) * min(width, height)
    page.polygon(((0, 0), (width, 0), (width, 0.8 * top), (0, top)), wood)
    page.polygon(((0, 0), (0, height), (left, height), (0.8 * left, 0)), wood)
    page.polygon(((0, height), (width, height), (width, height - bottom), (0, height - 0.8 * bottom)), wood)


def panel(page: ImageDraw.ImageDraw, paper: Colour, rng: Random) -> None:
    """A black square on white, as a plotting library saves a picture."""
    width, height = page.im.size
    page.rectangle((0.12 * width, 0.12 * height, 0.9 * width, 0.88 * height), BLACK)


@dataclass(frozen=True)
class Kind:
    """How one kind of picture is made; pairs are the ends of a range."""

    page: tuple[int, int]  # pixels of the longer side
    fill: tuple[float, float]  # digit / shorter side
    pen: tuple[float, float]  # width / digit's length
    inks: tuple[Colour, ...] = (BLACK,)
    papers: tuple[Colour, ...] = (WHITE,)
    printed: Callable[[ImageDraw.ImageDraw, Colour, Random], None] | None = None
    hard: bool = False  # no anti-aliasing
    opacity: tuple[float, float] = (1.0, 1.0)
    dry: float = 0.0  # the ink that the paper's grain leaves out
    shade: float = 0.0  # the light that shadows and vignette take
    noise: float = 0.0  # of the sensor, grey levels
    blur: float = 0.0  # of the focus, share of the page
    format: str = "PNG"


PHOTO = Kind(
    (500, 1700), (0.25, 0.8), (0.03, 0.09), (BLACK, BLUE, (50, 50, 60)), (WHITE, CREAM, (215, 215, 220)),
    shade=0.35, noise=5, blur=0.002, format="JPEG",
)  # fmt: skip
KINDS = {
    "paint 28 px": Kind((28, 28), (0.5, 0.9), (0.04, 0.14), hard=True),
    "paint 28 px JPEG": Kind((28, 28), (0.5, 0.9), (0.06, 0.14), (BLACK, BLUE), format="JPEG"),
    "paint thin": Kind((200, 1000), (0.3, 0.9), (0.002, 0.02), hard=True),
    "paint": Kind((100, 800), (0.3, 0.9), (0.02, 0.1), hard=True),
    "paint colours": Kind((100, 800), (0.3, 0.9), (0.02, 0.12), (RED, BLUE, GREEN, YELLOW), hard=True, format="JPEG"),
    "canvas": Kind((200, 400), (0.4, 0.9), (0.05, 0.15), (WHITE,), (BLACK,)),
    "canvas thick": Kind((100, 400), (0.4, 0.9), (0.15, 0.26), (WHITE,), (BLACK,)),
    "canvas small": Kind((200, 600), (0.1, 0.25), (0.06, 0.15), (WHITE, BLACK), (GREY,)),
    "touching": Kind((64, 400), (1.0, 1.05), (0.04, 0.12), (WHITE,), (BLACK, (30, 30, 60))),
    "transparent": Kind((64, 500), (0.3, 0.9), (0.03, 0.12), (BLACK, WHITE, RED), papers=()),
    "plot": Kind((200, 640), (0.4, 0.65), (0.06, 0.14), (WHITE,), printed=panel),
    "phone app": Kind((300, 1200), (0.3, 0.8), (0.02, 0.08), (BLACK, BLUE, RED), (WHITE, CREAM), format="JPEG"),
    "scan": replace(PHOTO, fill=(0.1, 0.5), shade=0.05, noise=3, blur=0.0005, printed=specks),
    "pen photo": PHOTO,
    "shadow photo": replace(PHOTO, shade=0.6),
    "small photo": replace(PHOTO, page=(60, 200), fill=(0.4, 0.9), pen=(0.05, 0.12), blur=0.004),
    "dark photo": replace(PHOTO, papers=((110, 100, 90),), inks=(BLACK,), noise=8),
    "marker photo": replace(PHOTO, fill=(0.4, 0.85), pen=(0.1, 0.2)),
    "ballpoint photo": replace(PHOTO, pen=(0.012, 0.03), blur=0.001),
    "pencil photo": replace(PHOTO, pen=(0.015, 0.05), inks=((90, 90, 95),), opacity=(0.4, 0.8), dry=0.5),
    "ruled photo": replace(PHOTO, opacity=(0.7, 1), printed=ruled),
    "grid photo": replace(PHOTO, opacity=(0.8, 1), printed=grid),
    "boxed photo": replace(PHOTO, fill=(0.35, 0.6), shade=0.2, printed=box),
    "table photo": replace(PHOTO, fill=(0.25, 0.5), shade=0.3, printed=table),
    "whiteboard": replace(PHOTO, inks=(BLACK, BLUE, RED, GREEN), papers=(SNOW,), dry=0.2, shade=0.5),
    "chalk": replace(PHOTO, inks=(CHALK,), papers=((40, 70, 60), (50, 50, 50)), dry=0.5, shade=0.4),
}
AS_THEY_ARE, IDEAL = "MNIST as it is", "ideal"


def drawings(kind: str, folder: Path, n: int, seed: int = 0) -> Iterator[tuple[bytes, int]]:
    """Encoded pictures and labels.

    Args:
        kind: one of KINDS; AS_THEY_ARE for MNIST's own pixels; IDEAL for the bent strokes set in MNIST's frame
            with its pen: what no preparation can improve upon.
        folder: holds MNIST's gzipped IDX files.
    """
    images, labels = (read_idx(folder / f"t10k-{name}-ubyte.gz") for name in ("images-idx3", "labels-idx1"))
    for index in np.random.default_rng(seed).choice(len(images), n, replace=False):
        strokes = Strokes.of(images[index]).bent(np.random.default_rng([seed, index]))
        if kind == AS_THEY_ARE:
            picture = _encoded(Image.fromarray(images[index]))
        elif kind == IDEAL:
            picture = _encoded(Image.fromarray(frame(strokes.drawn((80, 80), np.full(2, 40.0), 56, 8, 4))))
        else:
            picture = draw(KINDS[kind], strokes, np.random.default_rng([seed, index, *kind.encode()]))
        yield picture, int(labels[index])


def read_idx(path: Path) -> Bytes:
    data = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis]) for axis in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def draw(kind: Kind, strokes: Strokes, rng: Random) -> bytes:
    long = round(np.exp(rng.uniform(*np.log(kind.page))))
    short = long if long < 64 or rng.random() < 0.5 else round(long * rng.uniform(0.7, 1))
    shape = (long, short) if rng.random() < 0.5 else (short, long)
    ink = _written(kind, strokes, shape, rng)
    colour = kind.inks[rng.integers(len(kind.inks))]
    if not kind.papers:
        pixels = np.dstack([np.broadcast_to(colour, (*shape, 3)), 255 * ink])
        return _encoded(Image.fromarray(pixels.astype(np.uint8), "RGBA"))
    paper = kind.papers[rng.integers(len(kind.papers))]
    page = Image.new("RGB", shape[::-1], paper)
    if kind.printed:
        kind.printed(ImageDraw.Draw(page), paper, rng)
    pixels = np.asarray(page, float)
    return _photographed(kind, pixels + (np.array(colour) - pixels) * ink[:, :, None], rng)


def _written(kind: Kind, strokes: Strokes, shape: tuple[int, int], rng: Random) -> Array:
    length = min(shape) * rng.uniform(*kind.fill)
    pen = max(1.0, length * np.exp(rng.uniform(*np.log(kind.pen))))
    room = np.array(shape[::-1]) * (0.7 if kind.printed in (box, table, panel) else 1)
    free = np.maximum(room - length * np.ptp(strokes.points, axis=0) - pen - 2, 0) / 2
    middle = np.array(shape[::-1]) / 2 + rng.uniform(-free, free)
    ink = strokes.drawn(shape, middle, length, pen, 1 if kind.hard else 3 if max(shape) < 700 else 2)
    return ink * rng.uniform(*kind.opacity) * (1 - kind.dry * _grain(shape, rng, 3))


def _grain(shape: tuple[int, ...], rng: Random, cell: float) -> Array:
    """Smooth noise in 0..1 with grains of that many pixels."""
    small = rng.random((int(shape[0] / cell) + 2, int(shape[1] / cell) + 2), np.float32)
    return np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), float).clip(0, 1)


def _photographed(kind: Kind, page: Array, rng: Random) -> bytes:
    shape = page.shape[:2]
    if kind.shade:
        page = page * (1 - kind.shade * _shadow(shape, rng))[:, :, None]
    page = page + kind.noise * rng.standard_normal((*shape, 1))
    image = Image.fromarray(page.clip(0, 255).astype(np.uint8))
    blur = round(kind.blur * max(shape))
    if blur > 1:
        image = image.reduce(blur).resize(image.size, Image.Resampling.BICUBIC)
    return _encoded(image, format=kind.format, quality=int(rng.integers(40, 96)))


def _shadow(shape: tuple[int, ...], rng: Random) -> Array:
    """In 0..1: a mixture of a slope, a shadow's edge, a vignette and clouds."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y
    edge = 1 / (1 + np.exp(-(across - rng.uniform(-0.6, 0.6)) * np.exp(rng.uniform(1, 4))))
    clouds = _grain(shape, rng, max(shape) / 2)
    shares = rng.dirichlet(np.ones(4))
    parts = (0.5 + 0.5 * across, edge, (x**2 + y**2) / 2, clouds)
    return np.asarray(sum(share * part for share, part in zip(shares, parts, strict=True)))


def _encoded(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **({"format": "PNG"} | options))
    return stream.getvalue()
