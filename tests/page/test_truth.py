"""What the page says of networks, units and images, held against what is so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.http.samples import resized
from serve.inference.layers import Inspector
from tests.page.conftest import DEEP
from tests.page.reader import ONE, Reader
from tests.serve.networks import doubting, save
from tests.serve.running import running

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def _is_answered(reader: Reader, address: str, change: Any) -> None:
    """What the server says there, changed."""

    def handle(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=change(answer.json()))

    reader.page.route(address, handle)


def test_a_test_image_says_what_it_is(reader: Reader) -> None:
    reader.page.focus("#pad")
    reader.page.keyboard.press("8")
    reader.page.wait_for_function("() => document.querySelector('#truth').innerText")
    assert "of digits. Its label: 8." in reader.text("#truth")
    reader.draw()
    assert reader.text("#truth") == ""


@pytest.mark.parametrize(
    ("classes", "locale", "said"),
    [
        ("0123456789", "en-GB", "This looks like no digit; the nearest is "),
        ("0123456789", "es-ES", "Esto no parece un dígito; el más cercano es "),
        ("abcdefghij", "en-GB", "This looks like none of its classes; the nearest is "),
        ("abcdefghij", "es-ES", "No se parece a ninguna de sus clases; la más cercana es "),
    ],
)
def test_what_looks_like_no_class_is_said(classes: str, locale: str, said: str, open_page: Any, tmp_path: Path) -> None:
    save(tmp_path, "champion", doubting(list(classes)))
    with running(tmp_path) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/", locale=locale)
        reader.draw()
        assert reader.text("#verdict-words").startswith(said)
        reader.page.goto("about:blank")


def test_a_small_digit_by_a_broad_pen_keeps_its_loops(reader: Reader) -> None:
    around = [(0.5 + 0.06 * x, 0.5 + 0.08 * y) for x, y in ((0, -1), (-1, 0), (0, 1), (1, 0), (0, -1))]
    reader.page.evaluate("async () => { (await import('./main.js')).page.pad.brush = 0.18; }")
    reader.draw(around)
    image = np.reshape(reader.image(), (28, 28))
    assert image[14, 14] < 80 < 200 < image[14, :14].max()


def _excited(reader: Reader, found: list[dict[str, float]]) -> None:
    """As if these were the images that excite any unit most."""
    reader.page.evaluate(
        "async (found) => { (await import('./survey.js')).Survey.prototype.strongest = () => found; }", found
    )


def test_a_unit_that_no_image_excites_says_so(reader: Reader) -> None:
    _excited(reader, [{"image": 0, "value": 0.0}, {"image": 1, "value": 0.0}])
    reader.draw()
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumbs .note:has-text('No test image excites it')")
    assert "No test image excites it: its largest value is 0." in reader.text("#panel-filter .thumbs")
    assert reader.page.locator("#panel-filter .thumb").count() == 0


def test_the_images_that_excite_a_unit_show_by_how_much(reader: Reader) -> None:
    _excited(reader, [{"image": 7, "value": 2.5}, {"image": 8, "value": -1.0}])
    reader.draw()
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumb")
    assert reader.page.locator("#panel-filter .thumb small").all_inner_texts() == ["7: 2.500"]


def test_the_images_that_excite_a_unit_are_those(reader: Reader, inspector: Any, models: Path) -> None:
    reader.choose("residual")
    reader.draw()
    reader.press_unit("conv2")
    found = reader.page.evaluate(
        """async () => {
            const { page } = await import("./main.js");
            const survey = await page.gallery.survey(page.sides[0]);
            while (survey.searched < survey.of) await survey.goOn(500);
            return [0, 5, 7].map((unit) => survey.strongest("conv2", unit).map(({ value }) => value));
        }"""
    )
    outputs = inspector("residual").activations(resized(np.load(models / "samples.npy"), 32))["conv2"]
    for unit, values in zip((0, 5, 7), found, strict=True):
        peaks = outputs[:, unit].max(axis=(1, 2))
        assert values == pytest.approx(sorted(peaks, reverse=True)[:9], abs=1e-4)


@pytest.mark.parametrize("layer", ["conv1", "relu1", "pool1", "fc1"])
def test_only_a_convolution_has_filters(reader: Reader, inspector: Any, layer: str) -> None:
    network: Inspector = inspector("lenet_28")
    kinds = {each.name: each for each in network.layers}
    reader.choose("lenet_28")
    reader.draw()
    reader.press_unit(layer)
    title = reader.text("#panel-filter h3")
    noun = "Filter" if layer.startswith("conv") else "Map" if len(kinds[layer].shape) == 3 else "Unit"
    assert title.startswith(noun)
    assert title.endswith(f"of {layer}")


@pytest.mark.parametrize("status", [429, 502])
def test_a_server_that_is_away_has_test_images_all_the_same(reader: Reader, status: int) -> None:
    reader.page.route("**/samples*", lambda route: route.fulfill(status=status, json={"error": "away"}))
    reader.goto()
    reader.page.click("#gallery-open")
    assert ("busy" if status == 429 else "does not answer") in reader.notice("busy" if status == 429 else "gone")
    assert reader.page.locator("#gallery-missing").is_hidden()
    reader.page.focus("#pad")
    reader.page.keyboard.press("3")  # nothing uncaught
    reader.page.unroute("**/samples*")
    reader.page.click("#gallery-open")
    reader.page.wait_for_selector("#gallery-images .thumb")


def test_other_classes_than_digits_are_named(reader: Reader) -> None:
    def clothes(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"classes": FASHION, "metadata": {**answer["metadata"], "dataset": "fashion_mnist"}}

    _is_answered(reader, "**/v2/models/lenet_28", clothes)
    reader.goto()
    reader.choose("lenet_28")
    hint = reader.text("#pad-hint")
    assert "digit" not in hint
    assert "fashion_mnist knows T-shirt/top, Trouser, Pullover" in hint


def test_after_a_link_the_own_drawing_is_kept(reader: Reader, open_page: Any) -> None:
    reader.draw()
    reader.page.click("#share-open")
    reader.page.click("#share-link")
    other = open_page(reader.page.input_value("#copy-text").removeprefix(reader.site))
    other.wait_for_verdict()
    assert other.strokes() == 1
    other.draw(ONE)
    other.page.wait_for_function("() => !location.hash")
    other.page.wait_for_timeout(600)  # ms, longer than the page waits before it keeps a drawing
    other.page.reload()
    other.page.wait_for_selector("html[data-ready]")
    assert other.strokes() == 2


def test_the_temperature_is_shown_as_what_it_does(reader: Reader) -> None:
    reader.choose(DEEP)
    reader.draw()
    reader.press_unit("calibrated", 10, 10)
    before, after = reader.page.evaluate(
        """async () => {
            const { layers } = (await import("./main.js")).page.sides[0].answer;
            return ["fc", "calibrated"].map((name) => layers.find((layer) => layer.name === name).output[0]);
        }"""
    )
    assert after == pytest.approx(before / 2, abs=1e-6)
    shown = reader.text("#panel-why .formula").replace("−", "-")
    assert [float(part) for part in shown.replace("÷", "=").split("=")] == pytest.approx([before, 2, after], abs=1e-3)
    assert "parameters" not in reader.text(".layer:has(h4:text-is('calibrated')) .kind")
