"""For everybody: by keyboard, by screen reader, on small screens, without motion."""

from typing import Any

import pytest

from tests.page.reader import PHONE, Reader

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"]}
STATES = ("empty", "drawn", "panel", "gallery")


def bring_to(reader: Reader, state: str) -> None:
    if state in ("drawn", "panel"):
        reader.draw()
    if state == "panel":
        reader.press_unit("conv2")
        reader.page.wait_for_selector("#panel-filter .thumb")
        reader.page.evaluate("() => scrollTo(0, 0)")  # else the header lies over whatever stops below it
    if state == "gallery":
        reader.page.click("#gallery-open")
        reader.page.wait_for_selector("#gallery .thumb")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_axe_finds_nothing(open_page: Any, locale: str, theme: str, state: str) -> None:
    reader = open_page(locale=locale, color_scheme=theme, bypass_csp=True)  # axe is put into the page as a script
    bring_to(reader, state)
    assert reader.page.get_attribute("html", "data-theme") == theme
    found = axe.Axe().run(reader.page, options=OPTIONS).response["violations"]
    assert [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found] == []


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_on_a_phone(open_page: Any, state: str) -> None:
    reader = open_page(bypass_csp=True, **PHONE)
    bring_to(reader, state)
    found = axe.Axe().run(reader.page, options=OPTIONS).response["violations"]
    assert [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found] == []


@pytest.mark.parametrize("state", STATES)
def test_320_pixels_need_no_scrolling_sideways(open_page: Any, state: str) -> None:
    reader = open_page(viewport={"width": 320, "height": 640})
    bring_to(reader, state)
    assert reader.page.evaluate("() => document.documentElement.scrollWidth") <= 320


def test_large_type_still_fits(open_page: Any) -> None:
    reader = open_page()
    reader.page.click("#size")
    reader.draw()
    reader.press_unit("conv1")
    assert reader.page.evaluate("() => document.documentElement.scrollWidth") <= 1280


def test_targets_are_large_enough_for_fingers(open_page: Any) -> None:
    reader = open_page(**PHONE)
    reader.draw()
    small = reader.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")]
            .filter((each) => each.offsetParent && !each.closest(".matrix, .terms"))
            .map((each) => [each.id || each.textContent, (each.closest("label") ?? each).getBoundingClientRect()])
            .filter(([, { width, height }]) => width < 24 || height < 24).map(([name]) => name)"""
    )
    assert small == []


def test_reduced_motion_is_respected(open_page: Any) -> None:
    reader = open_page(reduced_motion="reduce")
    reader.draw()
    moving = reader.page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((each) => {
            const { transitionDuration, animationName } = getComputedStyle(each);
            return transitionDuration.split(", ").some((time) => parseFloat(time) > 0) || animationName !== "none";
        }).map((each) => each.id || each.className)"""
    )
    assert moving == []


def test_the_verdict_is_read_out_once_it_settles(reader: Reader) -> None:
    assert reader.text("#live") == ""
    reader.draw()
    reader.page.wait_for_function("() => /^\\d, \\d+%$/.test(document.querySelector('#live').textContent)")


def test_numbers_on_colours_are_legible(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv1")
    worst = reader.page.evaluate(
        """() => {
            const light = (colour) => {
                const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
                    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            return Math.min(...[...document.querySelectorAll(".matrix td")].map((cell) => {
                const style = getComputedStyle(cell);
                const [low, high] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
                return (high + 0.05) / (low + 0.05);
            }));
        }"""
    )
    assert worst >= 4.5


def test_the_tour_by_keyboard(reader: Reader) -> None:
    reader.page.focus("#tour-open")
    reader.page.keyboard.press("Enter")
    for step in range(2, 8):
        reader.page.keyboard.press("ArrowRight")
        assert f"Step {step} of 7" in reader.text("#tour-where")
    reader.page.keyboard.press("Escape")
    assert reader.page.locator("#tour").is_hidden()
    assert reader.page.evaluate("() => document.activeElement.id") == "tour-open"


def test_terms_explain_themselves(reader: Reader) -> None:
    reader.picture("pool1")
    reader.page.locator(".layer:visible .term:has-text('Pooling')").first.click()
    assert "keeps one number" in reader.text("#glossary .chosen + dd").lower()
    reader.page.keyboard.press("Escape")
    assert reader.page.locator("#glossary").is_hidden()


def test_colours_follow_the_theme_and_it_is_remembered(reader: Reader) -> None:
    reader.page.click("#theme")
    reader.page.reload()
    reader.page.wait_for_selector("html[data-theme=dark]")
