"""Thirty pages that draw at once at one server: what they ask of it, and how soon each stroke is a picture.

    python -m bench.classroom --models models --pages 30 --seconds 20

Server, browser and pages share this machine's cores, which a class does not: the page's own times are an upper bound.
Needs chromium. Writes bench/results/classroom.json.
"""

import argparse
import os
import platform
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench.page import browser, served
from stages.core.cli import files

RESULTS = Path(__file__).parent / "results" / "classroom.json"
PACE = 0.25  # seconds between two changes of a drawing, on each page

DRAW = """async (step) => {
    const { page } = await import("./main.js");
    const points = [0.3, 0.25, 0.7, 0.25, 0.6 + 0.01 * (step % 9), 0.5, 0.5, 0.8];
    page.drawing.replace(null, [{ erase: false, width: 0.075, points }]);
    page.pad.paint();
    page.pad.onChange(performance.now());
}"""


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.classroom", description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--network", default="", help="drawn for by all pages (default: the page's own choice)")
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with served(arguments.models) as address, browser() as first:
        found = measured(first, address, arguments)
    files.write_json(RESULTS, found)
    print(files.json_bytes(found).decode())


def measured(first: Any, address: str, arguments: argparse.Namespace) -> dict[str, Any]:
    asked: Counter[str] = Counter()
    received, refused = [0], [0]

    def note(response: Any) -> None:
        asked[kind(response.url)] += 1
        received[0] += int(response.headers.get("content-length", 0))
        refused[0] += response.status >= 400

    pages = [first.context.browser.new_page() for _ in range(arguments.pages)]
    for page in pages:
        page.on("response", note)
        page.goto(address + (f"#m={arguments.network}" if arguments.network else ""))
    for page in pages:
        page.wait_for_selector("html[data-ready]")
    opening = {"requests": asked.total(), "megabytes": round(received[0] / 1e6, 1), "refused": refused[0]}
    asked.clear()
    received[0] = refused[0] = 0
    started, step = time.perf_counter(), 0
    while time.perf_counter() - started < arguments.seconds:
        turn = time.perf_counter()
        for page in pages:
            page.evaluate(DRAW, step)
        step += 1
        time.sleep(max(0.0, PACE - (time.perf_counter() - turn)))
    times = [entry for page in pages for entry in page.evaluate(TIMES)]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores for all",
        "pages": len(pages),
        "opening": opening,
        "drawing": {
            "strokes": step * len(pages),
            "seconds": round(time.perf_counter() - started, 1),
            "requests": dict(asked),
            "kilobytes": round(received[0] / 1e3, 1),
            "refused": refused[0],
            "event_to_picture_ms": {f"p{share}": round(float(np.percentile(times, share))) for share in (50, 95)},
        },
    }


TIMES = "() => performance.getEntriesByName('event-to-picture').map(({ duration }) => duration)"


def kind(url: str) -> str:
    """The first part of what was asked for: v2 is a look whether a network was replaced."""
    return urlsplit(url).path.split("/")[1] or "page"


if __name__ == "__main__":
    main()
