"""The table of what is taken for what, and the drawings that fooled a network."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve.inference.model import Model
from tests.page.reader import ONE, Reader
from tests.serve.networks import save, save_samples
from tests.serve.running import running

PREDICTED = [digit % 10 for digit in range(30)]
PREDICTED[4] = PREDICTED[14] = 9  # two of the three 4s


@pytest.fixture
def known(open_page: Any, tmp_path: Path) -> Any:
    """A page over a network of which it is known what it takes each test image for."""
    path = save(tmp_path, "lenet_28")
    save_samples(tmp_path)
    facts = json.loads((tmp_path / "samples.json").read_text())
    record = {"sha256": Model.load(path).sha256, "bytes": 1, "accuracy": 28 / 30, "predicted": PREDICTED}
    (tmp_path / "samples.json").write_text(json.dumps(facts | {"networks": {"lenet_28": record}}))
    with running(tmp_path) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/")
        yield reader
        reader.page.goto("about:blank")


def test_a_number_of_the_table_opens_exactly_its_images(known: Reader) -> None:
    known.page.click("#gallery-open")
    known.page.click("#gallery-confusion summary")
    known.page.click(".confusion button[aria-label='2 of 4 taken for 9']")
    known.page.wait_for_function("() => document.querySelectorAll('#gallery-images .thumb').length === 2")
    names = [each.get_attribute("aria-label") for each in known.page.locator("#gallery-images .thumb").all()]
    assert names == ["Test image 4: 4, taken for 9", "Test image 14: 4, taken for 9"]
    known.page.select_option("#gallery-class", "3")
    known.page.wait_for_function("() => document.querySelectorAll('#gallery-images .thumb').length === 3")


def fool(reader: Reader) -> str:
    """Keeps the drawing as one of another class; that class."""
    meant = "8" if reader.verdict() != "8" else "3"
    reader.page.click("#reasons-open")
    reader.page.click(f"#reasons-classes button:text-is('{meant}')")
    reader.page.click("#reasons-meant")
    assert reader.text("#reasons-meant") == "Kept."
    reader.page.click("#reasons [data-close]")
    return meant


def test_what_fooled_it_is_kept_and_shared_as_one_link(reader: Reader, open_page: Any) -> None:
    reader.draw()
    said, meant = reader.verdict(), fool(reader)
    reader.draw(ONE)
    fool(reader)
    reader.page.reload()
    reader.page.wait_for_selector("html[data-ready]")
    reader.page.click("#gallery-open")
    assert reader.page.locator("#fooled-list .thumb").count() == 2
    assert reader.page.locator("#fooled-list small").last.inner_text() == f"{meant}, taken for {said}"
    reader.page.click("#fooled-share")
    other = open_page(reader.page.input_value("#copy-text").removeprefix(reader.site))
    other.page.locator("#fooled-list .thumb").last.click()
    other.settle()
    assert (other.strokes(), other.verdict()) == (1, said)


def test_a_damaged_link_of_drawings_leaves_ones_own(reader: Reader) -> None:
    reader.draw()
    fool(reader)
    reader.page.evaluate("() => { location.hash = 'f=bm90aGluZw'; }")
    assert "no drawing" in reader.notice("bad-link")
    reader.page.click("#gallery-open")
    assert reader.page.locator("#fooled-list .thumb").count() == 1


def test_a_browser_that_keeps_nothing_says_so(reader: Reader) -> None:
    reader.draw()
    reader.page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    meant = "8" if reader.verdict() != "8" else "3"
    reader.page.click("#reasons-open")
    reader.page.click(f"#reasons-classes button:text-is('{meant}')")
    reader.page.click("#reasons-meant")
    assert "full or forbidden" in reader.notice("storage")
    assert reader.strokes() == 1
