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


def test_a_number_is_chosen_in_the_enlarged_map(open_page: Any) -> None:
    reader: Reader = open_page(**PHONE)
    reader.choose("lenet_28")
    reader.draw()
    reader.press_unit("conv1")
    reader.page.locator("#enlarged").click(position={"x": 2, "y": 2})
    assert "row 0, column 0" in reader.text("#panel-title")


def test_what_is_pressed_stays_where_it_is_and_readable(reader: Reader) -> None:
    reader.choose("lenet_28")
    reader.draw()
    picture = reader.picture("conv1")
    picture.scroll_into_view_if_needed()
    before = picture.bounding_box()["y"]
    reader.press_unit("conv1")
    reader.page.mouse.move(5, 5)
    reader.page.wait_for_timeout(100)
    assert reader.picture("conv1").bounding_box()["y"] == pytest.approx(before, abs=2)
    veiled = """() => [...document.querySelectorAll(".overlay")].filter((each) => each.width).map((each) =>
        each.getContext("2d").getImageData(each.width - 4, each.height - 4, 1, 1).data[3])"""
    assert set(reader.page.evaluate(veiled)) <= {0, 255}


def test_nothing_jumps_before_the_first_answer(open_page: Any) -> None:
    reader: Reader = open_page()
    reader.draw()
    shift = reader.page.evaluate(
        """() => new Promise((resolve) => {
            let sum = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((each) => (sum += each.value)))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(sum), 200);
        })"""
    )
    assert shift <= 0.05


def test_on_paper_two_light_pages_without_buttons(open_page: Any) -> None:
    reader: Reader = open_page(color_scheme="dark")
    reader.choose("lenet_28")
    reader.draw()
    reader.press_unit("conv1")
    paper = reader.page.pdf(prefer_css_page_size=True)
    assert paper.count(b"/Type /Page\n") <= 2
    reader.page.emulate_media(media="print")
    reader.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert reader.page.locator("button:not(.term):visible, select:visible, input:visible, #panel:visible").count() == 0
    assert reader.page.locator("#bars .rail .bar:visible").count() == 10
    colour = "() => getComputedStyle(document.body).color + getComputedStyle(document.documentElement).backgroundColor"
    assert reader.page.evaluate(colour) == "rgb(28, 34, 45)rgb(255, 255, 255)"


def test_the_tour_starts_with_something_to_see(reader: Reader) -> None:
    reader.page.click("#tour-open")
    reader.wait_for_verdict()
    ring = reader.page.locator(".toured").bounding_box()
    assert ring["x"] >= 3
    assert reader.page.locator("#tour").is_visible()
