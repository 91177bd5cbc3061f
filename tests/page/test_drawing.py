"""Drawing by mouse, finger and keys; pictures and test images; what is kept and shared."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.page.reader import ONE, PHONE, SEVEN, Reader


def png(size: int = 200) -> bytes:
    """A dark 1 on white."""
    image = Image.new("L", (size, size), 255)
    ImageDraw.Draw(image).line([(size / 2, size / 5), (size / 2, size * 0.8)], fill=0, width=size // 12)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_an_empty_board_gets_no_verdict(reader: Reader) -> None:
    assert reader.verdict() == "?"
    assert reader.page.locator("#bars .best").count() == 0


def test_a_stroke_is_answered(reader: Reader) -> None:
    reader.draw()
    assert reader.verdict() in list("0123456789")
    shares = reader.page.locator("#bars .value").all_inner_texts()
    assert len(shares) == 10
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=1)


def test_every_point_of_a_stroke_is_shown_at_once(reader: Reader) -> None:
    box = reader.page.locator("#pad").bounding_box()
    reader.page.mouse.move(box["x"] + 80, box["y"] + 50)
    reader.page.mouse.down()
    reader.page.mouse.move(box["x"] + 80, box["y"] + 200, steps=4)
    reader.wait_for_verdict()  # the pen is still down
    reader.page.mouse.up()


def test_undo_redo_and_clear(reader: Reader) -> None:
    reader.draw(SEVEN)
    seven = reader.image()
    reader.draw([(0.3, 0.5), (0.7, 0.55)])
    assert reader.image() != seven
    reader.page.click("#undo")
    reader.settle()
    assert reader.image() == seven
    reader.page.keyboard.press("Control+Shift+Z")
    reader.settle()
    assert reader.image() != seven
    reader.page.click("#clear")
    reader.settle()
    assert reader.verdict() == "?"
    reader.page.click("#undo")
    reader.settle()
    assert reader.strokes() == 2


def test_the_eraser_takes_ink_away(reader: Reader) -> None:
    reader.draw([(0.2, 0.2), (0.8, 0.2)])
    reader.draw(ONE)
    both = sum(reader.image())
    reader.page.click("#eraser")
    reader.draw([(0.15, 0.2), (0.4, 0.2)])
    assert sum(reader.image()) < both


def test_a_place_in_a_corner_does_not_matter(reader: Reader) -> None:
    reader.draw([(0.1, 0.1), (0.3, 0.1), (0.2, 0.4)])
    corner = reader.image()
    reader.page.click("#clear")
    reader.draw([(0.6, 0.5), (0.8, 0.5), (0.7, 0.8)])
    moved = sum(abs(a - b) for a, b in zip(corner, reader.image(), strict=True))
    assert moved < 0.05 * sum(corner)


def test_keys_alone_draw_and_read(reader: Reader) -> None:
    keyboard = reader.page.keyboard
    keyboard.press("Tab")
    keyboard.press("Enter")  # skips to the drawing
    assert reader.page.evaluate("document.activeElement.id") == "pad"
    for key in ["ArrowRight"] * 4 + [" "] + ["ArrowDown"] * 14 + [" "]:
        keyboard.press(key)
    reader.settle()
    assert reader.verdict() != "?"
    before = sum(reader.image())
    for key in ["Shift+ArrowUp"] * 5:
        keyboard.press(key)
    reader.settle()
    assert reader.strokes() == 6
    assert reader.image()
    assert before
    keyboard.press("Delete")
    reader.settle()
    assert reader.verdict() == "?"
    keyboard.press("3")
    reader.wait_for_verdict()


def test_keys_alone_look_inside(reader: Reader) -> None:
    reader.draw()
    reader.picture("conv1").focus()
    for key in ["ArrowDown", "ArrowRight", "PageDown", "Enter"]:
        reader.page.keyboard.press(key)
    assert "map 1, row 1, column 1" in reader.text("#panel-title")
    assert reader.page.evaluate("document.activeElement.id") == "panel-title"
    reader.page.keyboard.press("Escape")
    assert reader.page.locator("#panel").is_hidden()
    assert reader.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("conv1")


def test_a_finger_draws_downwards_and_nothing_scrolls(open_page) -> None:  # type: ignore[no-untyped-def]
    reader = open_page(**PHONE)
    box = reader.page.locator("#pad").bounding_box()
    swipe(reader, box["x"] + box["width"] / 2, box["y"] + 30, box["y"] + box["height"] - 30)
    reader.settle()
    assert reader.page.evaluate("scrollY") == 0
    assert reader.strokes() == 1
    assert reader.verdict() != "?"
    below = reader.page.locator("#seen").bounding_box()
    swipe(reader, 200, below["y"] + 20, below["y"] - 300)
    reader.page.wait_for_function("() => scrollY > 50")


def swipe(reader: Reader, x: float, start: float, end: float) -> None:
    touch = reader.context.new_cdp_session(reader.page)
    send = lambda kind, points: touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})  # noqa: E731
    send("touchStart", [{"x": x, "y": start}])
    for step in range(1, 11):
        send("touchMove", [{"x": x, "y": start + (end - start) * step / 10}])
    send("touchEnd", [])


def test_a_second_finger_is_ignored(open_page) -> None:  # type: ignore[no-untyped-def]
    reader = open_page(**PHONE)
    box = reader.page.locator("#pad").bounding_box()
    touch = reader.context.new_cdp_session(reader.page)
    one, two = {"x": box["x"] + 50, "y": box["y"] + 50, "id": 0}, {"x": box["x"] + 200, "y": box["y"] + 80, "id": 1}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [one]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [one, two]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [one | {"y": one["y"] + 90}, two]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert reader.strokes() == 1


def test_a_picture_is_opened_and_drawn_over(reader: Reader) -> None:
    reader.page.set_input_files("#upload", {"name": "one.png", "mimeType": "image/png", "buffer": png()})
    reader.wait_for_verdict()
    reader.settle()
    one = reader.image()
    assert max(one) == 255
    reader.draw([(0.3, 0.3), (0.7, 0.3)])
    assert sum(reader.image()) != sum(one)


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped(reader: Reader, event: str) -> None:
    reader.page.evaluate(
        """([kind, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const held = new DataTransfer();
            held.items.add(new File([bytes], "one.png", { type: "image/png" }));
            const event = kind === "paste"
                ? new ClipboardEvent("paste", { clipboardData: held, bubbles: true })
                : new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }""",
        [event, base64.b64encode(png()).decode()],
    )
    reader.wait_for_verdict()


def test_a_test_image_by_number_and_by_class(reader: Reader) -> None:
    reader.page.click("#gallery-open")
    reader.page.fill("#gallery-number", "17")
    reader.page.click("#gallery-form [type=submit]")
    reader.wait_for_verdict()
    image = reader.image()
    assert [image[28 * 10 + column] for column in (11, 12, 15, 16)] == [0, 255, 255, 0]  # number 17 shows a 7
    reader.page.click("#gallery-open")
    reader.page.select_option("#gallery-class", "3")
    reader.page.wait_for_function("() => document.querySelectorAll('#gallery-images .thumb').length === 3")
    reader.page.locator("#gallery-images .thumb").first.click()
    reader.page.wait_for_selector("#gallery", state="hidden")
    reader.settle()
    assert [reader.image()[28 * 10 + column] for column in (7, 8, 11, 12)] == [0, 255, 255, 0]


def test_a_link_brings_the_drawing_and_the_networks(reader: Reader, open_page) -> None:  # type: ignore[no-untyped-def]
    reader.choose("mlp", "lenet_28")
    reader.draw()
    reader.page.click("#share-open")
    reader.page.click("#share-link")
    link = reader.page.input_value("#copy-text")
    other = open_page(link.removeprefix(reader.site))
    other.settle()
    assert [other.page.input_value("#first"), other.page.input_value("#second")] == ["mlp", "lenet_28"]
    difference = sum(abs(a - b) for a, b in zip(reader.image(), other.image(), strict=True))
    assert difference < 0.05 * sum(reader.image())


def test_the_drawing_survives_a_reload(reader: Reader) -> None:
    reader.draw()
    reader.page.wait_for_timeout(600)
    reader.page.reload()
    reader.page.wait_for_selector("html[data-ready]")
    reader.settle()
    assert reader.strokes() == 1
    assert reader.verdict() != "?"


def test_downloads(reader: Reader) -> None:
    reader.draw()
    reader.page.click("#share-open")
    document = json.loads(downloaded(reader, "#share-json"))
    assert document["image"]["data"] == reader.image()
    assert {layer["name"] for layer in document["layers"]} >= {"conv1", "pool1", "fc1"}
    assert Image.open(io.BytesIO(downloaded(reader, "#share-png"))).size[0] > 100


def downloaded(reader: Reader, button: str) -> bytes:
    with reader.page.expect_download() as found:
        reader.page.click(button)
    return bytes(Path(found.value.path()).read_bytes())


def test_the_python_to_copy_asks_the_same_question(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.draw()
    reader.page.click("#share-open")
    reader.page.click("#share-python")
    exec(compile(reader.page.input_value("#copy-text"), "copied", "exec"), {})
    answer = eval(capsys.readouterr().out)
    assert answer["label"] == reader.verdict()
    reader.page.click("#copy [data-close]")
    reader.page.click("#share-curl")
    assert "curl --data-binary @-" in reader.page.input_value("#copy-text")
