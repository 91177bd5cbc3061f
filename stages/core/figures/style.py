"""One look for every figure, laid out by matplotlib, and PNG files whose bytes depend on the figure alone."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import fill

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from stages.core.cli import files

WIDTH = 8.0  # inches
LEFT = 0.015  # share of the width: where titles and notes begin
LETTERS = 100  # of a line of notes

INK, GREY, FAINT = "#1a1a1a", "#5f6368", "#d0d3d6"
# Okabe and Ito's colours, which everyone can tell apart; their yellow is too light for lines.
BLUE, ORANGE, YELLOW = "#0072B2", "#D55E00", "#F0E442"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DIVERGING = LinearSegmentedColormap.from_list(
    "blue_orange", ["#00345a", BLUE, "#9cc9e3", "#ffffff", "#f6bf94", ORANGE, "#6b2b00"], N=257
).with_extremes(bad=FAINT, over="white")
VIRIDIS, GRAYS = (matplotlib.colormaps[name].with_extremes(bad=FAINT, over="white") for name in ("viridis", "gray"))


def applied() -> AbstractContextManager[None]:
    """Whatever a user's matplotlibrc says."""
    return matplotlib.style.context(Path(__file__).with_name("cifra.mplstyle"), after_reset=True)


def page(title: str, note: str, height: float, caution: str = "") -> tuple[Figure, SubFigure]:
    """A figure `height` inches high with its title and notes, and the part of it below them to draw on."""
    figure = Figure((WIDTH, height), layout="constrained")
    figure.suptitle(title, x=LEFT, ha="left", size=14, weight="bold")
    figure.supxlabel(fill(caution, LETTERS), x=LEFT, ha="left", size=10, color=ORANGE)
    body: SubFigure = figure.subfigures(squeeze=False)[0, 0]
    add_note(body, note)
    return figure, body


def add_note(part: SubFigure, note: str) -> None:
    """Above what is drawn there."""
    part.suptitle(fill(note, LETTERS), x=LEFT, ha="left", size=10, color=GREY)


def publish(folder: Path, figures: Iterable[tuple[str, Figure]]) -> int:
    """Draw and save each as NAME.png, in a folder that takes the place of the old one; how many there are."""
    with applied(), files.fresh_folder(folder) as fresh:
        return len([save(figure, fresh / f"{name}.png") for name, figure in figures])


def save(figure: Figure, path: Path) -> Path:
    """Pixels alone, no date or name of a program, so that the same figure is the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # once, where savefig draws twice for the layout's sake
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    Image.fromarray(pixels).convert("RGB").save(path, dpi=(figure.dpi, figure.dpi))
    return path
