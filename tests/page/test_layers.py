"""What the page says of layers: every number explained, and every field true."""

from typing import Any

import numpy as np
import pytest

from tests.page.reader import SEVEN, Reader

NETWORKS = ("lenet_28", "mlp", "residual", "small_vgg")

TOTALS = """async () => {
    const { page } = await import("./main.js");
    const { derivation } = await import("./arithmetic.js");
    const { layers } = page.sides[0].answer;
    const found = [];
    for (const layer of layers) {
        for (const share of [0, 0.13, 0.37, 0.5, 0.61, 0.99]) {
            const unit = Math.floor(share * layer.output.length);
            const each = derivation(layers, layer, unit);
            const { kind, value, total, patch, largest, isMax, powers, input, isLog, highest } = each;
            let told = input;
            if (total !== undefined && !powers) told = total;
            if (patch && isMax) told = patch[largest];
            if (patch && !isMax) told = each.sum / each.counted;
            if (powers) told = isLog ? input - highest - Math.log(total) : powers[unit] / total;
            if (kind === "normalized") told = input / 255;
            if (layer.op === "Relu") told = Math.max(0, input);
            if (layer.op === "Sigmoid") told = 1 / (1 + Math.exp(-input));
            const { mean, variance, epsilon, scale, bias } = each;
            if (kind === "normalization") told = (input - mean) / Math.sqrt(variance + epsilon) * scale + bias;
            if (["input", "arithmetic"].includes(kind)) continue;
            found.push([layer.name, unit, value, told]);
        }
    }
    return found;
}"""

FIELDS = """async () => {
    const { page } = await import("./main.js");
    const { receptiveFields } = await import("./network.js");
    const { layers } = page.sides[0].answer;
    return layers.filter((layer) => layer.shape.length === 3).flatMap((layer) =>
        [0.02, 0.31, 0.5, 0.97].map((share) => {
            const unit = Math.floor(share * layer.output.length);
            const { rows, columns } = receptiveFields(layers, layer, unit).get("image");
            return { layer: layer.name, unit, rows, columns };
        }));
}"""


@pytest.mark.parametrize("network", NETWORKS)
def test_every_explanation_comes_to_the_networks_own_number(reader: Reader, network: str) -> None:
    reader.choose(network)
    reader.draw()
    told = reader.page.evaluate(TOTALS)
    assert len(told) > 30
    for layer, unit, value, total in told:
        assert total == pytest.approx(value, abs=1e-4), (layer, unit)


@pytest.mark.parametrize("network", ["lenet_28", "residual", "small_vgg"])
def test_a_unit_depends_on_its_field_and_on_nothing_else(reader: Reader, network: str, inspector: Any) -> None:
    reader.choose(network)
    reader.draw()
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (1, *inspector(network).model.input_shape), np.uint8)
    before = inspector(network).activations(image)
    for found in reader.page.evaluate(FIELDS):
        (top, bottom), (left, right) = found["rows"], found["columns"]
        outside = random.integers(0, 256, image.shape, np.uint8)
        outside[..., top : bottom + 1, left : right + 1] = image[..., top : bottom + 1, left : right + 1]
        after = inspector(network).activations(outside)[found["layer"]].ravel()[found["unit"]]
        assert after == pytest.approx(before[found["layer"]].ravel()[found["unit"]], abs=1e-5), found
        assert depends_on_edges(inspector(network), image, before, found), found


def depends_on_edges(inspector: Any, image: np.ndarray, before: dict[str, np.ndarray], found: dict[str, Any]) -> bool:
    """Whether the field is no larger than need be: the unit, or one of another map there, sees each of its edges."""
    (top, bottom), (left, right) = found["rows"], found["columns"]
    cell = found["unit"] % before[found["layer"]][0, 0].size
    maps = before[found["layer"]].shape[1]
    for edge in (np.s_[top, left : right + 1], np.s_[bottom, left : right + 1], np.s_[top : bottom + 1, left]):
        seen = False
        for light in (0, 255):
            changed = image.copy()
            changed[(0, 0, *edge)] = light
            after = inspector.activations(changed)[found["layer"]].reshape(maps, -1)[:, cell]
            seen |= not np.allclose(after, before[found["layer"]].reshape(maps, -1)[:, cell], atol=1e-7)
        if not seen and found["layer"] not in ("relu1", "relu2", "pool1", "pool2"):  # there a larger number may win
            return False
    return True


@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_has_name_kind_shape_and_parameters(reader: Reader, network: str, inspector: Any) -> None:
    reader.choose(network)
    layers = inspector(network).layers
    shown = reader.page.locator(".layer")
    assert shown.count() == len(layers)
    for index, layer in enumerate(layers):
        words = shown.nth(index).locator(".words").inner_text()
        assert layer.name in words
        assert " × ".join(map(str, layer.shape)) in words.replace(",", "")
        assert ("parameters" in words) == (layer.parameters > 0)
        assert shown.nth(index).locator(".term").inner_text() != ""


def test_the_scale_marks_zero_and_says_how_far_it_goes(reader: Reader) -> None:
    reader.draw()
    legend = reader.page.locator(".layer:has(h4:text-is('conv1')) .legend")
    low, zero, high = legend.locator(".marks > span").all_inner_texts()
    assert (low[0], zero, high[0]) == ("−", "0", "+")
    assert low[1:] == high[1:]
    assert "blue is negative" in legend.get_attribute("title")
    reader.page.check("[name=range][value=map]")
    assert "largest" in legend.inner_text()


def test_pointing_lights_up_what_a_number_comes_from(reader: Reader) -> None:
    reader.draw()
    reader.picture("pool1").hover(position={"x": 40, "y": 40})
    reader.page.wait_for_selector(".layer.lit:has(h4:text-is('conv1'))", state="attached")
    assert "row" in reader.text(".layer:has(h4:text-is('pool1')) .readout")
    assert reader.page.evaluate(
        "() => document.querySelector('#pad-overlay').getContext('2d').getImageData(0, 0, 268, 268).data.some(Boolean)"
    )
    reader.page.mouse.move(5, 5)
    reader.page.wait_for_selector(".layer.lit", state="detached")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("conv1", "Sum of the products"),
        ("conv2", "maps that matter most"),
        ("pool1", "The largest of 4"),
        ("relu1", "max(0, "),
        ("flatten", "laid out in a row"),
        ("fc1", "What counts most"),
        ("softmax", "÷"),
        ("image", "of 255"),
    ],
)
def test_the_panel_tells_each_kind_with_real_numbers(reader: Reader, layer: str, words: str) -> None:
    reader.draw()
    reader.press_unit(layer, 20, 20)
    assert words in reader.text("#panel-why")
    assert any(sign in reader.text("#panel-why") for sign in "0123456789")


def test_a_number_leads_to_the_one_it_came_from_and_to_the_next(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv1")
    reader.page.click("#panel .onwards button")
    assert "relu1" in reader.text("#panel-title")
    reader.page.click("#panel-why button:has-text('Go back to conv1')")
    assert "conv1" in reader.text("#panel-title")


def test_the_panel_follows_the_drawing(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv2")
    before = reader.text("#panel-why")
    reader.draw([(0.2, 0.8), (0.8, 0.8)])
    assert reader.text("#panel-why") != before


def test_keys_and_pointer_walk_the_window_over_a_map(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv1")
    reader.page.locator("#enlarged").click(position={"x": 3, "y": 3})
    reader.page.locator("#enlarged").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        reader.page.keyboard.press(key)
    assert reader.text("#panel-title").endswith("row 1, column 1")
    box = reader.page.locator("#enlarged").bounding_box()
    reader.page.mouse.move(box["x"] + 3, box["y"] + 3)
    reader.page.mouse.down()
    reader.page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=3)
    reader.page.mouse.up()
    assert reader.text("#panel-title").endswith("row 23, column 23")
    assert "+" in reader.text("#panel-walk .sum")


def test_the_window_slides_by_itself_and_stops(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv1", 3, 3)
    reader.page.select_option("#walk-pace", "walk.fast")
    reader.page.click("#walk-play")
    reader.page.wait_for_function("() => document.querySelector('#panel-title').innerText.includes('row 2,')")
    reader.page.click("#walk-play")
    stopped = reader.text("#panel-title")
    reader.page.wait_for_timeout(200)
    assert reader.text("#panel-title") == stopped


def test_nothing_slides_for_who_wants_no_motion(open_page: Any) -> None:
    reader = open_page(reduced_motion="reduce")
    reader.draw()
    reader.press_unit("conv1", 3, 3)
    before = reader.text("#panel-title")
    reader.page.click("#walk-play")
    after = reader.text("#panel-title")
    assert after != before
    reader.page.wait_for_timeout(500)
    assert reader.text("#panel-title") == after


def test_a_filter_is_switched_off_and_on(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv1")
    before = reader.page.locator("#bars .value").all_inner_texts()
    reader.page.check("#switch-off")
    reader.settle()
    assert reader.page.locator("#bars .value").all_inner_texts() != before
    assert reader.page.locator("#bars .ghost:visible").count() == 10
    assert "conv1:0" in reader.text("#off-note")
    reader.page.click("#off-undo")
    reader.settle()
    assert reader.page.locator("#bars .value").all_inner_texts() == before


def test_the_images_that_excite_a_filter_most(reader: Reader) -> None:
    reader.draw()
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumb")
    assert reader.page.locator("#panel-filter .thumb").count() == 9
    before = reader.image()
    reader.page.locator("#panel-filter .thumb").first.click()
    reader.settle()
    assert reader.image() != before


def test_two_networks_side_by_side(reader: Reader) -> None:
    reader.choose("lenet_28", "mlp")
    reader.draw()
    assert reader.page.locator(".column").count() == 2
    assert reader.page.locator("#verdict-big .label").count() == 2
    assert reader.page.locator("#bars .value").count() == 20
    reader.page.wait_for_selector(".column:last-child .network p:has-text('computed in')")
    reader.choose("mlp")
    assert reader.page.locator(".column").count() == 1


def test_a_drawing_costs_the_server_nothing(reader: Reader, inspector: Any) -> None:
    asked: list[str] = []
    reader.choose("lenet_28")
    reader.settle()
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.stroke(SEVEN)
    reader.settle()
    assert asked == []
    shown = reader.page.evaluate(
        """async () => {
            const { page } = await import("./main.js");
            const { image, layers } = page.sides[0].answer;
            return [Array.from(image.data), layers.map(({ name, output }) => [name, Array.from(output)])];
        }"""
    )
    image = np.array(shown[0], np.uint8).reshape(1, 1, 28, 28)
    for name, output in shown[1]:
        assert inspector("lenet_28").activations(image)[name].ravel() == pytest.approx(np.array(output), abs=1e-4)


def test_on_paper_every_open_layer_is_there(reader: Reader) -> None:
    reader.draw()
    empty = """() => [...document.querySelectorAll(".layer:not([hidden]) canvas:not(.overlay)")].filter((canvas) =>
        !canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)).length"""
    assert reader.page.evaluate(empty) > 0  # far down
    reader.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert reader.page.evaluate(empty) == 0
