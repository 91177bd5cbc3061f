"""What people draw on the page's board: 35 ways to write digits, and what is no digit at all.

A glyph is pen strokes, each a curve through its points, or with `L` a broken line; the board is the unit square.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from bench.strokes import Array

Strokes = list[Array]  # each [n, 2]: x and y
Random = np.random.Generator
BOARD, PEN = 112, 0.075  # pixels of the picture that the page sends; width of its default brush, share of the board
PAPER, WIDEST = (
    0.2,
    0.16,
)  # what the page sends has so much paper around the ink, and strokes no wider: of its longer side
FINE = 4  # pixels drawn for each of the picture's, along a side

DIGITS = {
    "0": ".5 0 .15 .2 .1 .6 .3 .95 .6 1 .87 .7 .85 .3 .65 .03 .48 .01",
    "0 narrow": ".5 0 .33 .25 .3 .7 .45 1 .6 .9 .68 .5 .6 .1 .48 0",
    "0 round": ".5 .05 .15 .2 .05 .55 .2 .9 .5 .98 .82 .85 .95 .5 .82 .15 .5 .05",
    "0 open": ".6 .03 .25 .1 .1 .5 .25 .92 .6 .97 .85 .65 .82 .25 .6 .1",
    "0 slashed": ".5 0 .15 .2 .1 .6 .3 .95 .6 1 .87 .7 .85 .3 .65 .03 .48 .01 | L .3 .75 .7 .25",
    "0 long slash": ".5 0 .15 .2 .1 .6 .3 .95 .6 1 .87 .7 .85 .3 .65 .03 .48 .01 | L .08 1.02 .92 -.02",
    "1": "L .5 0 .5 1",
    "1 slanted": "L .6 0 .4 1",
    "1 flag": "L .3 .25 .52 0 .52 1",
    "1 European": "L .15 .5 .6 0 .6 1",
    "1 European slanted": "L .3 .45 .85 0 .45 1",
    "1 serif": "L .5 0 .5 1 | L .25 1 .75 1",
    "1 flag and serif": "L .3 .22 .5 0 .5 1 | L .22 1 .78 1",
    "2": ".15 .25 .3 .05 .6 0 .8 .2 .7 .5 .4 .78 .12 1 | L .12 1 .88 1",
    "2 looped": ".15 .2 .4 0 .75 .12 .72 .45 .4 .85 .15 .98 .1 .85 .3 .8 .6 .97 .9 .95",
    "2 angular": "L .15 .05 .8 .05 .15 .98 .85 .98",
    "3": ".15 .1 .5 0 .8 .15 .7 .42 .4 .5 .75 .58 .88 .8 .6 1 .12 .92",
    "3 flat": "L .15 .03 .8 .03 .42 .4 | .42 .4 .8 .5 .85 .8 .55 1 .15 .93",
    "3 angular": "L .15 .05 .8 .2 .35 .48 .85 .75 .15 .98",
    "4 open": "L .2 0 .15 .6 .9 .6 | L .72 .1 .68 1",
    "4 closed": "L .65 1 .65 0 .1 .65 .9 .65",
    "4 one stroke": "L .3 .02 .12 .5 .8 .5 | L .75 0 .75 1",
    "5": "L .75 .02 .25 .02 .2 .45 | .2 .45 .5 .38 .82 .55 .8 .85 .5 1 .12 .93",
    "5 two strokes": "L .28 .05 .22 .45 | .22 .45 .55 .4 .8 .65 .65 .95 .15 .97 | L .28 .05 .82 .05",
    "5 like S": ".82 .08 .4 .02 .2 .25 .45 .45 .75 .6 .75 .88 .45 1 .12 .92",
    "6": ".72 .02 .4 .2 .2 .6 .3 .93 .6 1 .8 .8 .68 .58 .4 .6 .22 .78",
    "6 straight": "L .7 0 .22 .65 | .22 .65 .25 .92 .55 1 .8 .85 .7 .6 .4 .58 .22 .7",
    "7": "L .12 .03 .85 .03 .4 1",
    "7 crossed": "L .12 .03 .85 .03 .4 1 | L .3 .5 .8 .5",
    "7 hooked": "L .15 .2 .15 .03 .85 .03 .42 1",
    "7 curved": ".12 .08 .5 .06 .85 .03 | .85 .03 .6 .4 .45 .7 .42 1",
    "8": ".75 .12 .5 0 .25 .15 .35 .4 .7 .6 .8 .85 .5 1 .2 .85 .3 .6 .65 .4 .78 .18 .7 .08",
    "8 two rings": ".5 0 .27 .12 .3 .38 .5 .46 .72 .36 .73 .1 .5 0 | .5 .46 .2 .58 .2 .9 .5 1 .8 .9 .8 .58 .5 .46",
    "9": ".8 .2 .55 0 .25 .12 .2 .4 .5 .52 .78 .35 .8 .15 | .8 .15 .78 .5 .72 1",
    "9 curled": ".78 .25 .5 .02 .22 .2 .3 .48 .6 .48 .78 .2 | .78 .2 .82 .6 .65 .95 .3 1 .15 .88",
}
LETTERS = {  # none that a digit could be taken for, as are B, D, G, I, J, L, O, P, Q, S, U, V, Y, Z and their like
    "A": "L .1 1 .5 0 .9 1 | L .25 .62 .75 .62",
    "E": "L .85 0 .15 0 .15 1 .85 1 | L .15 .5 .7 .5",
    "F": "L .85 0 .15 0 .15 1 | L .15 .5 .7 .5",
    "H": "L .15 0 .15 1 | L .85 0 .85 1 | L .15 .5 .85 .5",
    "K": "L .15 0 .15 1 | L .85 0 .15 .55 .85 1",
    "M": "L .1 1 .15 0 .5 .6 .85 0 .9 1",
    "N": "L .15 1 .15 0 .85 1 .85 0",
    "R": "L .15 1 .15 0 | .15 0 .7 .03 .8 .25 .6 .48 .15 .5 | L .4 .5 .85 1",
    "T": "L .1 0 .9 0 | L .5 0 .5 1",
    "W": "L .05 0 .28 1 .5 .35 .72 1 .95 0",
    "X": "L .12 0 .88 1 | L .88 0 .12 1",
    "m": "L .08 .2 .08 1 | .08 .45 .25 .22 .48 .35 .5 1 | .5 .45 .68 .22 .9 .35 .92 1",
}
HEART = ".5 .28 .35 .05 .1 .12 .08 .42 .28 .72 .5 1 | .5 1 .72 .72 .92 .42 .9 .12 .65 .05 .5 .28"
TRIANGLE = "L .5 .05 .95 .9 .05 .9 .5 .05"
OTHERS = ("hearts", "triangles", "letters", "two digits", "scribbles")
WAYS: dict[str, dict[str, float]] = {  # of writing the digits: the pen and the board's side by the default's, …
    "default": {},
    "thin": {"pen": 0.4},
    "thick": {"pen": 2.4},
    "tiny": {"size": 0.17},
    "corner": {"size": 0.4, "right": 0.27, "down": 0.27},
    "turned 15° left": {"turn": -15},
    "turned 15° right": {"turn": 15},
    "jitter": {"jitter": 0.03},
}


def strokes_of(glyph: str, rng: Random, jitter: float = 0.0) -> Strokes:
    """By a hand that misses each point by so much."""
    return [_stroke(text.split(), rng, jitter) for text in glyph.split("|")]


def _stroke(words: list[str], rng: Random, jitter: float) -> Array:
    is_broken = words[0] == "L"
    points = np.array([float(word) for word in words[is_broken:]]).reshape(-1, 2)
    points = points + rng.normal(0, jitter, points.shape)
    return points if is_broken else smoothed(points)


def smoothed(points: Array) -> Array:
    """A curve through the points (Catmull and Rom, 1974)."""
    before, after = np.vstack([points[:1], points[:-1]]), np.vstack([points[1:], points[-1:]])
    tangents = (after - before) / 2
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    shares = (2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2)
    pieces = [
        sum(share * value for share, value in zip(shares, values, strict=True))
        for values in zip(points[:-1], tangents[:-1], points[1:], tangents[1:], strict=True)
    ]
    return np.vstack([*pieces, points[-1:]])


def placed(strokes: Strokes, size: float = 0.6, right: float = 0.0, down: float = 0.0, turn: float = 0.0) -> Strokes:
    """On the board: as large as `size`, off its middle, turned by degrees."""
    angle = np.radians(turn)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [size * (stroke - 0.5) @ turned + (0.5 + right, 0.5 + down) for stroke in strokes]


def picture(strokes: Strokes, pen: float = PEN) -> Image.Image:
    """The square that the page sends: the ink, wherever it is and no wider than a digit's, with paper around it."""
    points = np.vstack(strokes)
    pen = min(pen, WIDEST * float(np.ptp(points, axis=0).max()))
    low, high = points.min(axis=0) - pen / 2, points.max(axis=0) + pen / 2
    side = float((high - low).max()) * (1 + 2 * PAPER)
    scale = BOARD * FINE / side
    image, radius = Image.new("L", (BOARD * FINE, BOARD * FINE)), pen * scale / 2
    pencil = ImageDraw.Draw(image)
    for stroke in strokes:
        at = (stroke - (low + high - side) / 2) * scale
        pencil.line(at.ravel().tolist(), 255, round(2 * radius), "curve")
        for x, y in at:
            pencil.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return image.reduce(FINE)


def digits(way: str) -> Iterator[tuple[str, Image.Image]]:
    """Each of DIGITS, its name and its picture, written in that way."""
    how = dict(WAYS[way])
    pen, jitter = PEN * how.pop("pen", 1), how.pop("jitter", 0)
    for number, (name, glyph) in enumerate(DIGITS.items()):
        strokes = strokes_of(glyph, np.random.default_rng(number), jitter)
        yield name, picture(placed(strokes, **how), pen)


def others(kind: str, count: int, seed: int = 0) -> Iterator[Image.Image]:
    """What is no digit, each by another hand."""
    rng = np.random.default_rng([seed, *kind.encode()])
    for number in range(count):
        broad = rng.uniform(0.8, 1.2)
        strokes = [stroke * (broad, 1) for stroke in _other(kind, number, rng)]
        size, turn, pen = rng.uniform((0.35, -8, 0.6 * PEN), (0.75, 8, 1.2 * PEN)).tolist()
        yield picture(placed(strokes, size, turn=turn), pen)


def _other(kind: str, number: int, rng: Random) -> Strokes:
    if kind == "two digits":
        glyphs = rng.choice(list(DIGITS.values()), 2)
        gap = rng.uniform(0.9, 1.3)
        pair = [strokes_of(glyph, rng, 0.02) for glyph in glyphs]
        return [stroke + np.array([side * gap, 0.0]) for side, strokes in enumerate(pair) for stroke in strokes]
    if kind == "scribbles":
        return [smoothed(rng.random((int(rng.integers(6, 12)), 2)))]
    glyph = {"hearts": HEART, "triangles": TRIANGLE}.get(kind) or list(LETTERS.values())[number % len(LETTERS)]
    return strokes_of(glyph, rng, 0.03)
