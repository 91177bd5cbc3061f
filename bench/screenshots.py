"""The pictures of the page that both READMEs show, taken in a real browser.

    python -m bench.screenshots

Needs chromium, and the models that `dvc repro` makes. Writes docs/page.png and docs/page.es.png.
"""

from pathlib import Path

from bench.page import browser, served

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = {"en": "page.png", "es": "page.es.png"}
NETWORK = "simple_cnn"
SEVEN = [(0.28, 0.22), (0.72, 0.22), (0.6, 0.5), (0.48, 0.82)]  # shares of the board


def main() -> None:
    with served(Path("models")) as site, browser() as page:
        for language, name in PICTURES.items():
            page.goto(f"{site}?lang={language}")
            page.wait_for_selector("html[data-ready]")
            page.select_option("#first", NETWORK)
            board = page.locator("#pad").bounding_box()
            for number, (x, y) in enumerate(SEVEN):
                page.mouse.move(board["x"] + x * board["width"], board["y"] + y * board["height"], steps=8)
                if number == 0:
                    page.mouse.down()
            page.mouse.up()
            page.wait_for_timeout(1500)  # ms, for the answer and its pictures
            DOCS.mkdir(exist_ok=True)
            page.screenshot(path=DOCS / name)
            page.click("#clear")
    print(f"{', '.join(PICTURES.values())} in {DOCS.name}/")


if __name__ == "__main__":
    main()
