"""The page in a real browser: how soon a stroke is a picture, and how often one's own digit is recognised.

    python -m bench.page FOLDER --models models --n 100

The champion of --models is one trained on MNIST; FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.
Needs chromium. Each digit is written on the page's board by the mouse, along its own strokes, at 120 points a second;
then drawn again as strokes, and opened as a picture: small or large, thin or thick, off-centre. Digits are those of
the test set that come first, the same number of each class. Writes bench/results/page.json.
"""

import argparse
import base64
import io
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.drawings import read_idx
from bench.strokes import Bytes, Strokes
from stages.core.cli import files

RESULTS = Path(__file__).parent / "results" / "page.json"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PACE = 1000 / 120  # ms between two points of the mouse
CLASSES = 10

Lines = list[NDArray[np.float64]]
"""Each [n, 2]: a pen's way from touching the paper to leaving it."""

ANSWER = """async ([lines, width, picture]) => {
    const { page } = await import("./main.js");
    const { pictureOf } = await import("./upload.js");
    const bytes = Uint8Array.from(atob(picture ?? ""), (letter) => letter.charCodeAt(0));
    const base = picture ? await pictureOf(new File([bytes], "digit.png", { type: "image/png" })) : null;
    const strokes = lines.map((points) => ({ erase: false, width, points: points.flat() }));
    page.drawing.replace(base, strokes);
    page.pad.paint();
    const at = performance.now();
    const answered = () => performance.getEntriesByName("event-to-picture").some(({ startTime }) => startTime === at);
    page.ask(at);
    for (let waited = 0; waited < 5000 && !answered(); waited += 5) await new Promise((done) => setTimeout(done, 5));
    return answered() ? page.sides[0].answer.label : null;
}"""


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.page", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--n", type=int, default=100, help="digits")
    arguments = parser.parse_args()
    digits = chosen(arguments.folder, arguments.n)
    with served(arguments.models) as address, browser() as page:
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_timeout(2500)
        found = {
            "machine": f"{platform.machine()}, {platform.python_version()}, chromium {page.context.browser.version}",
            "event_to_picture": latency(page, digits[:20]),
            "recognition": recognition(page, digits),
        }
    files.write_json(RESULTS, found)
    print(files.json_bytes(found).decode())


def chosen(folder: Path, count: int) -> list[tuple[Bytes, int]]:
    """As many of each class, those that come first."""
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    numbers = [number for label in range(CLASSES) for number in np.flatnonzero(labels == label)[: count // CLASSES]]
    return [(images[number], int(labels[number])) for number in numbers]


@contextmanager
def served(models: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "serve", "--port", "0", "--models", str(models), "--no-request-log"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            announced = re.search(r"http://\S+:\d+", process.stdout.readline())
            if announced is None:
                sys.exit("the server did not start")
            yield f"{announced[0]}/"
        finally:
            process.terminate()


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield found.new_page(viewport={"width": 1280, "height": 800})
        found.close()


def latency(page: Any, digits: list[tuple[Bytes, int]]) -> dict[str, float]:
    """Milliseconds from a pointer event to the frame that shows its answer; the first digit warms up."""
    for number, (image, _) in enumerate(digits):
        page.click("#clear")
        for line in placed(lines_of(image), 0.62, (0.5, 0.5)):
            write(page, line)
        if number == 0:
            page.evaluate("() => performance.clearMeasures()")
    page.wait_for_timeout(300)
    times = page.evaluate("() => performance.getEntriesByName('event-to-picture').map(({ duration }) => duration)")
    return {"n": len(times), **{f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 95, 99)}}


def write(page: Any, line: NDArray[np.float64]) -> None:
    box = page.locator("#pad").bounding_box()
    places = line * (box["width"], box["height"]) + (box["x"], box["y"])
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1::3]:
        page.mouse.move(*place)
        page.wait_for_timeout(PACE)
    page.mouse.up()


def recognition(page: Any, digits: list[tuple[Bytes, int]]) -> dict[str, dict[str, int]]:
    random = np.random.default_rng(0)
    right = {"strokes": 0, "pictures": 0}
    for image, label in digits:
        size, width = random.uniform(0.3, 0.85), random.uniform(0.03, 0.11)
        place = size / 2 + random.uniform(0.03, 0.97 - size, 2)
        lines = placed(lines_of(image), size, place)
        answer = page.evaluate(ANSWER, [[line.tolist() for line in lines], width * (0.4 + size), None])
        right["strokes"] += answer == str(label)
        answer = page.evaluate(ANSWER, [[], 0, base64.b64encode(moved(image, random)).decode()])
        right["pictures"] += answer == str(label)
    return {way: {"right": count, "of": len(digits)} for way, count in right.items()}


def moved(image: Bytes, random: np.random.Generator) -> bytes:
    """The digit on a larger ground, off-centre, scaled, as a PNG."""
    side = int(random.integers(30, 200))
    ground = Image.new("L", (2 * side, 2 * side))
    ground.paste(
        Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC), tuple(random.integers(0, side, 2))
    )
    buffer = io.BytesIO()
    ground.save(buffer, "PNG")
    return buffer.getvalue()


def placed(lines: Lines, size: float, centre: Any) -> Lines:
    return [line * size + centre for line in lines]


def lines_of(image: Bytes) -> Lines:
    """The digit's skeleton as lines of a pen: longer side 1, centred on 0."""
    points, pairs = Strokes.of(image)
    near: dict[int, set[int]] = {number: set() for number in range(len(points))}
    for one, other in pairs.tolist():
        near[one].add(other)
        near[other].add(one)
    lines = []
    while starts := [number for number, others in near.items() if others]:
        at = min(starts, key=lambda number: (len(near[number]) != 1, number))  # from an end, where there is one
        way = [at]
        while near[at]:
            following = min(near[at])
            near[at].discard(following)
            near[following].discard(at)
            way.append(at := following)
        lines.append(points[way])
    return lines


if __name__ == "__main__":
    main()
