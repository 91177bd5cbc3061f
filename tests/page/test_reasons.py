"""Why this, why not that: what the page says of ink, classes and test images is what the network says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.inference.layers import Inspector
from tests.page.reader import Reader

REASONS = """async (index) => {
    const { page } = await import("./main.js");
    const [{ model, answer }] = page.sides;
    const places = [...Array(784).keys()].filter((at) => answer.image.data[at] > 100).slice(0, 12);
    return [places, [...model.reasons(answer.image.data, places, index)]];
}"""


def log_odds(inspector: Inspector, image: np.ndarray, index: int) -> float:
    share = inspector.activations(image)["softmax"][0].astype(float)
    return float(np.log(share[index] / np.delete(share, index).sum()))


def test_the_map_is_what_taking_ink_away_does(reader: Reader, inspector: Callable[[str], Inspector]) -> None:
    reader.draw()
    image = np.array(reader.image(), np.uint8).reshape(1, 1, 28, 28)
    places, told = reader.page.evaluate(REASONS, 4)
    for place, value in zip(places, told, strict=True):
        row, column = divmod(place, 28)
        less = image.copy()
        less[..., max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 0
        network = inspector("lenet_28")
        assert value == pytest.approx(log_odds(network, image, 4) - log_odds(network, less, 4), abs=2e-3)


def test_a_class_that_is_pressed_is_explained(reader: Reader) -> None:
    reader.draw()
    reader.page.locator("#bars li").nth(3).click()
    assert reader.text("#reasons-classes [aria-pressed=true]") == "3"
    reader.page.wait_for_selector("#reasons-sides .thumb")
    assert reader.page.locator("#reasons-sides .thumb").count() >= 2
    reader.page.click("#reasons-classes button:text-is('8')")
    assert reader.text("#reasons-sides p").startswith("8: ")


def test_two_networks_give_their_reasons(reader: Reader) -> None:
    reader.choose("lenet_28", "mlp")
    reader.draw()
    reader.page.click("#reasons-open")
    assert reader.page.locator("#reasons-sides h3[lang=en]").all_inner_texts() == ["lenet_28", "mlp"]


def test_an_empty_board_has_no_reasons(reader: Reader) -> None:
    reader.page.click("#reasons-open")
    assert reader.page.locator("#reasons").is_hidden()
    assert "Draw" in reader.notice("empty")


def test_the_nearest_test_image_to_a_test_image_is_itself(reader: Reader, models: Path, inspector: Any) -> None:
    reader.page.focus("#pad")
    reader.page.keyboard.press("6")
    reader.wait_for_verdict()
    reader.settle()
    reader.page.click("#reasons-open")
    reader.page.wait_for_selector("#reasons-sides .thumb")
    reader.page.wait_for_function("() => !document.querySelector('#reasons-sides .thumbs .note')")
    assert reader.text("#reasons-sides .thumb small") == "6"
