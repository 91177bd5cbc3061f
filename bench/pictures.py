"""The pictures of README and docs/: figures of the pipeline, the page and MLflow's table in a real browser.

    python -m bench.pictures

Needs chromium, and what `dvc repro` leaves. Those in Spanish are named NAME.es.png.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from bench.page import browser, served
from stages import render, track
from stages.core.cli import files, params
from stages.core.data import datasets
from stages.core.figures import style
from stages.core.figures.outcome import Outcome
from stages.core.figures.overview import overview
from stages.core.figures.words import Translator

DOCS = Path(__file__).parents[1] / "docs"
SUFFIXES = {"en": "", "es": ".es"}
NETWORK = "simple_cnn"
FIGURES = ("feature_maps_0", "epochs", "accuracy_by_class")
SEVEN = [(0.28, 0.22), (0.72, 0.22), (0.6, 0.5), (0.48, 0.82)]  # shares of the board


def main() -> None:
    for language, suffix in SUFFIXES.items():
        figures(language, suffix)
    with served(Path("models")) as site, browser() as page:
        for language, suffix in SUFFIXES.items():
            drawn(page, f"{site}?lang={language}")
            page.screenshot(path=DOCS / f"page{suffix}.png")
            page.click("#clear")
    track.main()
    with tracked(DOCS.parent) as link, browser() as page:
        runs(page, link)
        page.screenshot(path=DOCS / "mlflow.png")


def figures(language: str, suffix: str) -> None:
    metadata, t = datasets.metadata(), Translator(language)
    rows = files.read_csv(DOCS.parent / "reports" / "comparison.csv")
    ours = render.draw(Outcome.read(NETWORK, metadata), datasets.load("test"), [0], t)
    of_all = overview(list(params.load().models), metadata, rows, 0, t)
    with style.applied():
        for name, figure in chain(ours, of_all):
            if name in FIGURES:
                style.save(figure, DOCS / f"{name.removesuffix('_0')}{suffix}.png")


def drawn(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    board = page.locator("#pad").bounding_box()
    for number, (x, y) in enumerate(SEVEN):
        page.mouse.move(board["x"] + x * board["width"], board["y"] + y * board["height"], steps=8)
        if number == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(1500)  # ms, for the answer and its pictures


@contextmanager
def tracked(folder: Path) -> Iterator[str]:
    """The link that `cifra ui` prints in that repository, while its server runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cifra", "ui"]
    environment = os.environ | {"CIFRA_UI_PORT": str(port), "PYTHONPATH": str(DOCS.parent)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            link = re.search(r"http\S+", process.stdout.readline().decode())
            if link is None:
                sys.exit("cifra ui did not start")
            wait_for(f"http://127.0.0.1:{port}/health")
            yield link[0]
        finally:
            process.terminate()


def wait_for(address: str, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urlopen(address, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"{address} does not answer")


def runs(page: Any, link: str) -> None:
    """MLflow's table of runs, without what MLflow lays beside it the first time."""
    page.set_viewport_size({"width": 1400, "height": 700})
    page.goto(link)
    page.locator(".ag-row").first.wait_for()
    page.get_by_role("button", name="Hide banner", exact=True).click()
    if (assistant := page.get_by_role("button", name="Close", exact=True)).is_visible():
        assistant.click()
    page.wait_for_timeout(1500)  # ms, until all is in its place


if __name__ == "__main__":
    main()
