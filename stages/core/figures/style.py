"""One look for every figure: a page measured in inches, its colours, and PNG bytes that depend on nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]  # [H, W, 3]

WIDTH = 8.0  # inches
DPI = 150
MARGIN = 0.25
POINT = 1 / 72

INK, GREY, FAINT = "#1a1a1a", "#5f6368", "#d0d3d6"
# Okabe and Ito's colours, which everyone can tell apart; their yellow is too light for lines.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK, YELLOW = "#E69F00", "#56B4E9", "#000000", "#F0E442"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
MARKERS = "osD^vPX"
DIVERGING = LinearSegmentedColormap.from_list(
    "blue_orange", ["#00345a", BLUE, "#9cc9e3", "#ffffff", "#f6bf94", ORANGE, "#6b2b00"], N=257
)


def _palette() -> Image.Image:
    """Every colour of our scales, greys, and tints of the colours of the lines."""
    tints = [np.array(to_rgb(line)) * share + 1 - share for line in COLOURS for share in (1, 0.75, 0.5, 0.25)]
    colours = [
        np.repeat(np.linspace(1, 0, 52)[:, np.newaxis], 3, axis=1),
        DIVERGING(np.linspace(0, 1, 97))[:, :3],
        matplotlib.colormaps["viridis"](np.linspace(0, 1, 64))[:, :3],
        np.array([*tints, to_rgb(YELLOW)]),
    ]
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(np.concatenate(colours) * 255).astype(np.uint8).tobytes())
    return image


PALETTE = _palette()
WHITE = 0  # where it stands in the palette
FRAME = 2  # pixels around each picture of a mosaic

SETTINGS: dict[Any, Any] = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": "#e6e8ea",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@contextmanager
def applied() -> Iterator[None]:
    """Our settings on top of matplotlib's own, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


class Sheet:
    """A page `WIDTH` inches wide: a title, notes, and below them `body` inches to draw on.

    Places are in inches from the left edge and from the top of the body downwards.
    """

    def __init__(self, title: str, note: str = "", *, body: float, caution: str = "") -> None:
        notes = [(line, GREY) for line in wrap(note, 104)] + [(line, ORANGE) for line in wrap(caution, 104)]
        head = 0.55 + 0.2 * len(notes) + 0.1
        self.body, self.height = body, head + body
        self.figure = Figure((WIDTH, self.height), dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set_axis_off()
        self.page.set(xlim=(0, WIDTH), ylim=(body, -head), autoscale_on=False)
        self.text(MARGIN, 0.36 - head, title, size=14, weight="bold", va="baseline")
        for number, (line, colour) in enumerate(notes):
            self.text(MARGIN, 0.6 + 0.2 * number - head, line, color=colour, va="baseline")

    def text(self, left: float, top: float, text: str, **options: Any) -> Text:
        return self.page.text(left, top, text, **options)

    def axes(self, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
        bottom = (self.body - top - height) / self.height
        return self.figure.add_axes((left / WIDTH, bottom, width / WIDTH, height / self.height), **options)

    def picture(self, picture: Picture, left: float, top: float, width: float, height: float) -> None:
        extent = (left, left + width, top + height, top)
        self.page.imshow(picture, extent=extent, aspect="auto", interpolation="nearest")

    def lines(self, ends: Sequence[Any], **options: Any) -> None:
        """Each from (x, y) to (x, y)."""
        self.page.add_collection(LineCollection(ends, **options), autolim=False)

    def save(self, path: Path) -> None:
        """A PNG of pixels alone: no date, no name of the program."""
        self.canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(self.canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        path.parent.mkdir(parents=True, exist_ok=True)
        indexed(pixels).save(path, format="PNG", dpi=(DPI, DPI), compress_level=6)


def indexed(pixels: NDArray[np.uint8]) -> Image.Image:
    """Opaque [H, W, 4] in the 256 colours of `PALETTE`: a third of the bytes."""
    image = Image.fromarray(pixels).convert("RGB").quantize(palette=PALETTE, dither=Image.Dither.NONE)
    indices = np.array(image)
    indices[pixels.view(np.uint32)[..., 0] == 0xFFFFFFFF] = WHITE  # Pillow compares roughly: it takes near-white for it
    image.frombytes(indices.tobytes())
    return image


def coloured(values: Floats, limit: float, signed: bool) -> Picture:
    """Signed values: blue below zero, white at zero, orange above; others: viridis from zero to the limit."""
    limit = limit or 1.0
    shares = (values / limit + 1) / 2 if signed else values / limit
    scale = DIVERGING if signed else matplotlib.colormaps["viridis"]
    picture: Picture = scale(np.asarray(shares, np.float64), bytes=True)[..., :3]
    return picture


def grey(images: NDArray[np.uint8]) -> Picture:
    """[..., H, W] as [..., H, W, 3]: the image as the network gets it, light on dark."""
    return np.repeat(images[..., np.newaxis], 3, axis=-1)


def mosaic(pictures: Picture, columns: int, width: float, gap: int = 0) -> Picture:
    """[N, H, W, 3] in rows of `columns`, thinly framed, `gap` pixels apart, together `width` inches wide at DPI."""
    count, height, across, _ = pictures.shape
    pitch = (round(width * DPI) - FRAME) // columns
    side = pitch - FRAME - gap
    tall = round(side * height / across)
    rows, drop = -(-count // columns), tall + FRAME + gap
    cells = pictures[:, np.arange(tall) * height // tall][:, :, np.arange(side) * across // side]
    page = np.full((rows * drop + FRAME, columns * pitch + FRAME, 3), 255, np.uint8)
    for number in range(count):
        top, left = number // columns * drop, number % columns * pitch
        page[top : top + tall + 2 * FRAME, left : left + side + 2 * FRAME] = 200
        page[top + FRAME :, left + FRAME :][:tall, :side] = cells[number]
    return page


def size_of(picture: Picture) -> tuple[float, float]:
    """Width and height in inches of a picture at DPI."""
    return picture.shape[1] / DPI, picture.shape[0] / DPI
