"""What one sees without scrolling, and what may not move."""

from typing import Any

import pytest

from tests.page.reader import PHONE, Reader

SCREENS = {
    "1366x641": {"viewport": {"width": 1366, "height": 641}},
    "1280x600": {"viewport": {"width": 1280, "height": 600}},
    "1920x940 large": {"viewport": {"width": 1920, "height": 940}},
    "390x844": PHONE,
    "320x568": PHONE | {"viewport": {"width": 320, "height": 568}},
}
BOXES = """() => Object.fromEntries(
    ["#pad", "#verdict-big", "#verdict-words p", "#bars li:first-child", "#bars li:last-child"].map((selector) => {
        const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
        return [selector, [left, top, right, bottom].map(Math.round)];
    }))"""


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
@pytest.mark.parametrize("screen", SCREENS)
def test_the_answer_is_in_view(open_page: Any, screen: str, locale: str) -> None:
    reader = open_page(locale=locale, **SCREENS[screen])
    if "large" in screen:
        reader.page.click("#size")
    reader.draw()
    assert reader.page.locator("#bars li").count() == 10
    width, height = SCREENS[screen]["viewport"].values()
    boxes = reader.page.evaluate(BOXES)
    for name, (left, top, right, bottom) in boxes.items():
        assert 0 <= left < right <= width, (name, boxes)
        assert 0 < top < bottom <= height, (name, boxes)
    header = reader.page.locator("header.bar").bounding_box()["height"]
    assert header <= (64 if "large" in screen else 56)
    assert reader.page.locator("#pad").bounding_box()["width"] >= 180


def test_the_menu_has_what_the_row_has_no_room_for(open_page: Any) -> None:
    reader: Reader = open_page(**PHONE)
    assert reader.page.locator("#tour-open").is_hidden()
    reader.page.click("#menu")
    reader.page.click("[data-language=es]")
    reader.page.wait_for_selector("html[lang=es]")
    reader.page.click("#tour-open")
    assert reader.page.locator("#tour").is_visible()
    assert reader.page.locator("#tour-open").is_hidden()
