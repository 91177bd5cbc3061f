"""Deep networks in little room: convolutions with what works on their maps, the strongest maps, a strip to jump by."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serve.inference.layers import Inspector
from tests.page.conftest import DEEP
from tests.page.reader import PHONE, Reader


@pytest.mark.parametrize(("screen", "most"), [({}, 3_200), (PHONE, 4_800)], ids=["desktop", "phone"])
def test_a_deep_network_takes_a_few_screens(open_page: Any, screen: dict[str, Any], most: int) -> None:
    reader = open_page(**screen)
    reader.choose(DEEP)
    reader.draw()
    assert reader.page.evaluate("() => document.documentElement.scrollHeight") <= most


def test_what_works_on_the_maps_of_a_convolution_is_behind_it(reader: Reader) -> None:
    reader.choose(DEEP)
    names = [
        block.all_inner_texts() for block in (tabs.locator("button") for tabs in reader.page.locator(".tabs").all())
    ]
    assert names[:4] == [
        ["conv1", "relu1"],
        ["conv2", "relu2", "pool1"],
        ["conv3", "relu3"],
        ["conv4", "relu4", "pool2"],
    ]
    assert reader.page.locator(".layer:visible h4:text-is('relu2')").count() == 0
    reader.page.click(".tabs button:text-is('relu2')")
    assert reader.page.locator(".layer:visible h4:text-is('relu2')").count() == 1
    assert reader.page.locator(".layer:visible h4:text-is('conv2')").count() == 0


def _channels(reader: Reader, layer: str) -> list[int]:
    """Those on the picture, in their places."""
    return list(
        reader.page.evaluate(
            """async (name) => {
                const { page } = await import("./main.js");
                return page.columns.viewOf(page.sides[0], name).geometry.channels;
            }""",
            layer,
        )
    )


def test_the_strongest_maps_come_first_and_all_on_demand(open_page: Any, inspector: Callable[[str], Inspector]) -> None:
    reader = open_page(**PHONE)
    reader.choose(DEEP)
    reader.draw()
    reader.page.wait_for_timeout(600)  # ms: the hand rests
    shown = _channels(reader, "conv5")
    assert len(shown) < 64
    image = np.array(reader.image(), np.uint8).reshape(1, 1, 28, 28)
    strength = np.abs(inspector(DEEP).activations(image)["conv5"][0]).mean(axis=(1, 2))
    assert strength[shown] == pytest.approx(np.sort(strength)[::-1][: len(shown)], rel=1e-3)
    article = reader.page.locator(".layer:has(h4:text-is('conv5'))")
    article.locator(".more").click()
    assert _channels(reader, "conv5") == list(range(64))
    assert article.locator(".more").inner_text() == "the strongest only"


def test_maps_stay_in_place_while_the_panel_explains_one(open_page: Any) -> None:
    reader = open_page(**PHONE)
    reader.choose(DEEP)
    reader.draw()
    reader.press_unit("conv5")
    before = _channels(reader, "conv5")
    reader.page.evaluate("async () => (await import('./main.js')).page.pad.change((drawing) => drawing.undo())")
    reader.page.wait_for_timeout(600)
    assert _channels(reader, "conv5") == before


def test_the_strip_leads_to_each_block(reader: Reader) -> None:
    reader.choose(DEEP)
    reader.draw()
    names = reader.page.locator(".strip button").all_inner_texts()
    assert names[:4] == ["image", "normalized", "conv1", "conv2"]
    assert names[-1] == "softmax"
    reader.page.click(".strip button:text-is('conv7'), .strip button:has-text('conv7')")
    top = reader.page.locator(".block:has(h4:text-is('conv7'))").bounding_box()["y"]
    assert 40 <= top <= 300


def test_two_networks_take_turns_on_a_phone(open_page: Any) -> None:
    reader = open_page(**PHONE)
    reader.choose("lenet_28", "mlp")
    reader.draw()
    heads = reader.page.locator(".network")
    first, second = (heads.nth(index).bounding_box() for index in (0, 1))
    assert first["y"] == second["y"]
    conv1 = reader.page.locator(".layer h4:visible:text-is('conv1')")
    assert conv1.count() == 1
    before = reader.page.locator(".layer:visible").count()
    heads.nth(1).locator("button").click()
    assert conv1.count() == 0
    assert 0 < reader.page.locator(".layer:visible").count() < before
