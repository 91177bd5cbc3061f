"""Somebody at the page: draws, presses, looks. Keeps what the page asked for and complained of."""

from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SEVEN = [(0.28, 0.22), (0.72, 0.22), (0.6, 0.5), (0.48, 0.82)]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ONE = [(0.5, 0.2), (0.5, 0.8)]
Points = list[tuple[float, float]]


class Reader:
    def __init__(self, browser: Any, site: str, **options: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options}
        self.site = site
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.hosts.add(urlsplit(request.url).netloc)

    def close(self) -> None:
        self.context.close()
        assert self.errors == []
        assert self.hosts <= {urlsplit(self.site).netloc}

    def goto(self, address: str = "") -> None:
        self.page.goto(self.site + address)
        self.page.wait_for_selector("html[data-ready]")

    def draw(self, points: Points = SEVEN) -> None:
        """With the mouse, and wait for the answer to it."""
        self.stroke(points)
        self.settle()

    def stroke(self, points: Points) -> None:
        box = self.page.locator("#pad").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down()
        for start, end in pairwise(places):
            mouse.move(*((a + b) / 2 for a, b in zip(start, end, strict=True)))
            mouse.move(*end)
        mouse.up()

    def settle(self) -> None:
        """Until every network has answered the newest drawing."""
        self.page.evaluate(
            """async () => {
                const { page } = await import("./main.js");
                const at = performance.now();
                const isNewest = ({ startTime }) => startTime === at;
                const shown = () => performance.getEntriesByName("event-to-picture").filter(isNewest);
                page.ask(at);
                while (shown().length < page.sides.length) await new Promise((resolve) => setTimeout(resolve, 5));
            }"""
        )

    def choose(self, first: str, second: str = "") -> None:
        self.page.select_option("#first", first)
        self.page.select_option("#second", second)
        self.page.wait_for_selector(f".column:last-child h3:has-text('{second or first}')")
        self.page.wait_for_selector(".column:last-child .layer", state="attached")

    def press_unit(self, layer: str, x: float = 30, y: float = 30) -> None:
        picture = self.picture(layer)
        picture.scroll_into_view_if_needed()
        picture.click(position={"x": x, "y": min(y, picture.bounding_box()["height"] / 3)})
        self.page.wait_for_selector("#panel-why")

    def picture(self, layer: str) -> Any:
        tab = self.page.locator(f".tabs button:text-is('{layer}')")
        if tab.count():  # folded into a convolution
            tab.first.click()
        return self.page.locator(f".layer:has(h4:text-is('{layer}')) canvas:not(.overlay)").first

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())

    def wait_for_verdict(self) -> None:
        self.page.wait_for_function("() => document.querySelector('#verdict-big').innerText !== '?'")

    def verdict(self) -> str:
        return self.text("#verdict-big")

    def image(self) -> list[int]:
        """What the first network saw last."""
        return list(
            self.page.evaluate(
                """async () => {
                    const { page } = await import("./main.js");
                    return page.sides[0].blank ? [] : Array.from(page.sides[0].answer.image.data);
                }"""
            )
        )

    def notice(self, name: str) -> str:
        self.page.wait_for_selector(f"[data-notice='{name}']")
        return self.text(f"[data-notice='{name}'] p")

    def strokes(self) -> int:
        return int(self.page.evaluate("async () => (await import('./main.js')).page.drawing.strokes.length"))
