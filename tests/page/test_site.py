"""The page without a server: from disk, from any static host, as one file."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.__main__ import main
from serve.inference.layers import Inspector
from tests.page.reader import ONE, PHONE, SEVEN, Reader
from tests.page.test_drawing import png

NETWORKS = ("lenet_28", "residual")
Visit = Callable[..., Reader]

SEEN = """() => {
    const [{ answer }] = cifra.main.page.sides;
    return [Array.from(answer.image.data), answer.probabilities];
}"""


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("site")
    files = [str(models / f"{name}.onnx") for name in NETWORKS]
    assert main(["page", str(where), "--models", *files]) == 0
    assert main(["page", str(where.parent / "one.html"), "--single-file", "--models", *files]) == 0
    return where


@pytest.fixture
def hosted(folder: Path) -> Iterator[str]:
    """By a host that knows nothing but files, below a prefix."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet.at(folder.parent)) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}/{folder.name}/index.html"
        host.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    @classmethod
    def at(cls, directory: Path) -> Any:
        return functools.partial(cls, directory=str(directory))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    readers: list[Reader] = []

    def visited(address: str, **options: Any) -> Reader:
        reader = Reader(browser, address, **options)
        readers.append(reader)
        reader.context.set_offline(address.startswith("file:"))
        reader.goto()
        return reader

    yield visited
    for reader in readers:
        reader.close()


def stroke(reader: Reader, points: list[tuple[float, float]] = SEVEN) -> None:
    before = reader.page.evaluate("() => performance.getEntriesByName('event-to-picture').length")
    reader.stroke(points)
    reader.page.wait_for_function(
        "(before) => performance.getEntriesByName('event-to-picture').length > before && !cifra.main.page.drawing.live",
        arg=before,
    )
    reader.page.wait_for_timeout(300)  # ms: the hand rests


@pytest.mark.parametrize("home", ["index.html", "../one.html"])
@pytest.mark.parametrize(("locale", "screen"), [("en-GB", {}), ("es-ES", PHONE)], ids=["desktop", "phone"])
def test_it_answers_from_disk_offline(
    visit: Visit, folder: Path, home: str, locale: str, screen: dict[str, Any], inspector: Callable[[str], Inspector]
) -> None:
    reader = visit((folder / home).resolve().as_uri(), locale=locale, **screen)
    assert reader.text("#draw-title") == ("Draw" if locale == "en-GB" else "Dibuja")
    stroke(reader)
    image, probabilities = reader.page.evaluate(SEEN)
    found = inspector("lenet_28").activations(np.array(image, np.uint8).reshape(1, 1, 28, 28))
    assert probabilities == pytest.approx(found["softmax"][0].tolist(), abs=2e-3)  # weights of 16 bits


def test_it_is_at_home_on_a_static_host(visit: Visit, hosted: str) -> None:
    reader = visit(hosted)
    stroke(reader)
    assert reader.verdict() in "0123456789"
    reader.page.select_option("#second", "residual")
    reader.page.wait_for_selector(".column:last-child .layer", state="attached")
    assert reader.page.locator("#verdict-big .label").count() == 2


def test_it_has_its_test_images(visit: Visit, folder: Path) -> None:
    reader = visit((folder / "index.html").as_uri())
    reader.page.focus("#pad")
    reader.page.keyboard.press("8")
    reader.wait_for_verdict()
    assert "Its label: 8." in reader.text("#truth")
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumb")


def test_a_link_opens_the_drawing(visit: Visit, folder: Path) -> None:
    reader = visit((folder / "index.html").as_uri())
    stroke(reader)
    reader.page.click("#share-open")
    assert reader.page.locator("#share-curl").is_hidden()
    reader.page.click("#share-link")
    link = reader.page.input_value("#copy-text")
    assert link.startswith("file:///")
    other = visit(link)
    other.wait_for_verdict()
    assert other.page.evaluate(SEEN)[0] == pytest.approx(reader.page.evaluate(SEEN)[0], abs=30)


def test_a_photograph_is_told_to_need_a_server(visit: Visit, folder: Path) -> None:
    reader = visit((folder / "index.html").as_uri())
    reader.page.set_input_files("#upload", {"name": "1.png", "mimeType": "image/png", "buffer": png()})
    assert "without a server" in reader.notice("alone")
    reader.page.click("#clear")
    stroke(reader, ONE)
    assert reader.page.locator("[data-notice]").count() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{full}"], "holds other files"),
        (["{full}", "--single-file"], "is a folder"),
        (["{new}", "--models", "{full}/nothing.onnx"], "cannot be read"),
    ],
)
def test_what_cannot_be_written_says_why(
    arguments: list[str], said: str, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    places = {"full": tmp_path / "full", "new": tmp_path / "new"}
    filled = [argument.format(**places) for argument in arguments]
    if "--models" not in filled:
        filled += ["--models", str(models / "mlp.onnx")]
    assert main(["page", *filled]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
