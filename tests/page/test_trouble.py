"""What goes wrong is said in a plain sentence, and the drawing is kept."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import save_samples
from tests.page.reader import ONE, SEVEN, Reader
from tests.page.test_drawing import png
from tests.serve.networks import int8, lenet, lenet_with, save
from tests.serve.running import running


def photograph(reader: Reader, size: int = 200) -> None:
    """What needs the server to be prepared."""
    reader.page.set_input_files("#upload", {"name": "1.png", "mimeType": "image/png", "buffer": png(size)})


def test_a_server_that_is_gone_is_not_missed(reader: Reader) -> None:
    reader.draw()
    before = reader.image()
    reader.context.set_offline(True)
    reader.draw(ONE)
    assert reader.image() != before
    assert reader.page.locator(".notice").count() == 0


def test_a_photograph_waits_for_the_server(reader: Reader) -> None:
    reader.draw()
    before = reader.image()
    reader.context.set_offline(True)
    photograph(reader)
    assert "does not answer" in reader.notice("gone")
    reader.context.set_offline(False)
    reader.page.wait_for_selector("[data-notice='gone']", state="detached")
    assert reader.image() != before


def test_a_short_refusal_is_retried_quietly(reader: Reader) -> None:
    reader.draw()
    before, refused = reader.image(), []
    reader.page.evaluate(
        """() => {
            window.noticed = 0;
            const note = () => window.noticed++;
            new MutationObserver(note).observe(document.querySelector("#notices"), { childList: true });
        }"""
    )

    def refuse(route: Any) -> None:
        refused.append(route.request.url)
        route.fulfill(status=429, json={"error": "busy"})

    reader.page.route("**/explain*", refuse, times=2)
    photograph(reader)
    for _ in range(100):
        if reader.image() != before:
            break
        reader.page.wait_for_timeout(50)
    assert reader.image() != before
    assert (len(refused), reader.page.evaluate("() => window.noticed")) == (2, 0)
    assert reader.page.locator("html.stale").count() == 0


def test_a_busy_server_is_asked_again(reader: Reader) -> None:
    reader.page.route("**/explain*", lambda route: route.fulfill(status=429, json={"error": "busy"}))
    photograph(reader)
    assert "busy" in reader.notice("busy")
    reader.page.unroute("**/explain*")
    reader.page.wait_for_selector("[data-notice='busy']", state="detached")
    reader.wait_for_verdict()


@pytest.mark.parametrize(
    ("operator", "notice", "words"), [("Softplus", "operator", "Softplus"), ("int8", "integers", "8-bit integers")]
)
def test_a_network_that_the_page_cannot_compute(
    open_page: Any, tmp_path: Path, operator: str, notice: str, words: str
) -> None:
    save(tmp_path, "mlp")
    save(tmp_path, "champion", int8() if operator == "int8" else lenet_with(operator))
    with running(tmp_path) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/")
        assert words in reader.notice(notice)
        assert "champion" in reader.notice(notice)
        reader.stroke(SEVEN)
        reader.choose("mlp")
        reader.wait_for_verdict()
        reader.page.goto("about:blank")


def test_a_network_file_of_another_version(reader: Reader) -> None:
    reader.page.route("**/networks/mlp/*", lambda route: route.fulfill(body=b"CIF9" + bytes(64)))
    reader.stroke(SEVEN)
    reader.page.select_option("#first", "mlp")
    assert "another version" in reader.notice("version")
    assert reader.strokes() == 1


def test_a_network_replaced_while_drawing(open_page: Any, tmp_path: Path) -> None:
    save(tmp_path, "lenet_28")
    with running(tmp_path) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/")
        reader.draw()
        save(tmp_path, "lenet_28", lenet(seed=1))
        found.app.endpoints.repository.refresh()
        reader.page.evaluate("async () => { (await import('./side.js')).Side.look = 0; }")
        reader.stroke(ONE)
        assert "replaced" in reader.notice("replaced")
        reader.settle()
        assert reader.strokes() == 2
        sums = reader.page.evaluate(
            """async () => {
                const { page } = await import("./main.js");
                const { derivation } = await import("./arithmetic.js");
                const { layers } = page.sides[0].answer;
                const { value, total } = derivation(layers, layers.find(({ name }) => name === "conv1"), 100);
                return [value, total];
            }"""
        )
        assert sums[0] == pytest.approx(sums[1], abs=1e-4)  # the new network's own weights
        reader.page.goto("about:blank")


def test_no_test_images(open_page: Any, tmp_path: Path) -> None:
    save(tmp_path, "mlp")
    with running(tmp_path) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/")
        reader.page.click("#gallery-open")
        reader.page.wait_for_selector("#gallery-missing")
        assert "make" in reader.text("#gallery-missing")
        reader.page.goto("about:blank")


def test_damaged_test_images(tmp_path: Path) -> None:
    save(tmp_path, "mlp")
    save_samples(tmp_path)
    (tmp_path / "samples.npy").write_bytes(b"\x93NUMPY rubbish")
    with running(tmp_path) as found:
        reply = found.client("GET", "/samples")
        assert reply.status == 404
        assert "cannot be read" in reply.json["error"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("rubbish.png", b"no picture", "not a picture"), ("huge.png", b"\x89PNG" + bytes(30_000_001), "too large")],
)
def test_a_file_that_cannot_be_used(reader: Reader, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    reader.draw()
    (tmp_path / name).write_bytes(content)
    reader.page.set_input_files("#upload", tmp_path / name)
    reader.page.wait_for_selector(".notice")
    assert words in reader.text(".notice p")
    assert name in reader.text(".notice p")
    assert reader.strokes() == 1


def test_a_blank_picture_has_no_digit(reader: Reader, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (100, 100), 255).save(tmp_path / "blank.png")
    reader.page.set_input_files("#upload", tmp_path / "blank.png")
    assert "No digit" in reader.notice("no-digit")
    assert reader.verdict() == "?"


@pytest.mark.parametrize(
    "link", ["s=%%%", "s=AAAA", "s=abc", "t=99999", "t=-1", "t=1e3", "i=AAAA", "i=!!!!", "s=" + "A" * 90_000]
)
def test_a_link_with_rubbish_in_it(reader: Reader, link: str) -> None:
    reader.draw()
    reader.page.evaluate("(link) => { location.hash = link; }", link)
    assert "no drawing" in reader.notice("bad-link")
    assert reader.strokes() == 1


def test_a_link_to_a_network_that_is_not_there(open_page: Any) -> None:
    reader = open_page("#m=nobody&c=nothing")
    assert reader.page.input_value("#first") == "lenet_28"
    reader.draw()
    assert reader.verdict() != "?"


def test_a_late_photograph_does_not_overwrite_a_newer_drawing(reader: Reader) -> None:
    held: list[tuple[Any, Any]] = []
    reader.page.route("**/explain*", lambda route: held.append((route, route.fetch())), times=1)
    photograph(reader)
    for _ in range(100):
        if held:
            break
        reader.page.wait_for_timeout(50)
    reader.page.click("#clear")
    reader.draw(SEVEN)
    seven = reader.image()
    [(route, response)] = held
    with reader.page.expect_response("**/explain*"):
        route.fulfill(response=response)
    reader.page.wait_for_timeout(200)
    assert reader.image() == seven


def test_an_answer_that_comes_after_clear_is_not_shown(reader: Reader) -> None:
    def slow(route: Any) -> None:
        response = route.fetch()
        time.sleep(0.4)
        route.fulfill(response=response)

    reader.page.route("**/explain*", slow, times=1)
    photograph(reader)
    reader.page.click("#clear")
    reader.settle()
    reader.page.wait_for_timeout(600)
    assert reader.verdict() == "?"


def test_an_old_browser_is_told_so_in_both_languages(browser: Any, site: str) -> None:
    reader = Reader(browser, site)
    reader.page.add_init_script("delete Array.prototype.findLastIndex")
    reader.page.goto(site)
    assert "too old" in reader.text(".too-old")
    assert "demasiado antiguo" in reader.text(".too-old")
    reader.context.close()
