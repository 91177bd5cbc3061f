"""Behind an API key: the page asks for it, sends it along, and tells it to nobody."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.http.guard import Guard
from tests.page.conftest import Open
from tests.page.reader import Reader
from tests.page.test_access import OPTIONS, axe
from tests.serve.running import running

KEY = "open-sesame"


@pytest.fixture
def locked(models: Path) -> Iterator[str]:
    with running(models, guard=Guard(keys=(KEY,))) as found:
        yield f"http://127.0.0.1:{found.client.port}/"


@pytest.fixture
def visit(browser: Any, locked: str) -> Iterator[Callable[..., Reader]]:
    """Opens the page without waiting for its networks, which need the key."""
    readers: list[Reader] = []

    def opened(**options: Any) -> Reader:
        reader = Reader(browser, locked, **options)
        readers.append(reader)
        reader.page.goto(locked)
        reader.page.wait_for_selector("#key[open]")
        return reader

    yield opened
    for reader in readers:
        reader.page.goto("about:blank")
        reader.close()


def enter(reader: Reader, key: str) -> None:
    reader.page.fill("#key-field", key)
    reader.page.keyboard.press("Enter")


def test_the_key_opens_the_page_and_stays_in_the_tab(visit: Callable[..., Reader], browser: Any, locked: str) -> None:
    reader = visit()
    enter(reader, KEY)
    reader.page.wait_for_selector("html[data-ready]")
    reader.draw()
    assert reader.verdict() in list("0123456789")
    reader.press_unit("conv2")
    reader.page.wait_for_selector("#panel-filter .thumb")
    reader.page.reload()
    reader.page.wait_for_selector("html[data-ready]")
    assert reader.page.locator("#key").is_hidden()
    kept = reader.page.evaluate("() => [JSON.stringify(localStorage), document.cookie, location.href].join()")
    assert KEY not in kept
    assert visit().page.locator("#key").is_visible()  # another tab, another reader


def test_a_wrong_key_is_asked_for_again(visit: Callable[..., Reader]) -> None:
    reader = visit(locale="es-ES")
    enter(reader, "wrong")
    reader.page.wait_for_function("() => document.querySelector('#key-refused').textContent !== ''")
    assert "no acepta" in reader.text("#key-refused")
    enter(reader, KEY)
    reader.page.wait_for_selector("html[data-ready]")
    assert reader.page.locator("#key").is_hidden()


def test_without_a_key_the_page_says_why_nothing_answers(visit: Callable[..., Reader]) -> None:
    reader = visit()
    reader.page.keyboard.press("Escape")
    assert "API key" in reader.notice("locked")
    reader.stroke([(0.5, 0.2), (0.5, 0.8)])
    assert reader.strokes() == 1


def test_what_is_copied_names_the_key_and_does_not_show_it(
    visit: Callable[..., Reader], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = visit()
    enter(reader, KEY)
    reader.page.wait_for_selector("html[data-ready]")
    reader.draw()
    reader.page.click("#share-open")
    for button in ("curl", "python"):
        reader.page.click(f"#share-{button}")
        copied = reader.page.input_value("#copy-text")
        assert "CIFRA_API_KEY" in copied
        assert KEY not in copied
        reader.page.click("#copy [data-close]")
    monkeypatch.setitem(os.environ, "CIFRA_API_KEY", KEY)
    exec(compile(copied, "copied", "exec"), {})
    assert eval(capsys.readouterr().out)["label"] == reader.verdict()


def test_without_a_key_nothing_speaks_of_one(open_page: Open) -> None:
    reader = open_page()
    reader.draw()
    reader.page.click("#share-open")
    reader.page.click("#share-curl")
    assert "KEY" not in reader.page.input_value("#copy-text")


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_axe_finds_nothing_in_the_dialog(visit: Callable[..., Reader], locale: str) -> None:
    reader = visit(locale=locale, bypass_csp=True)
    found = axe.Axe().run(reader.page, options=OPTIONS).response["violations"]
    assert [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in found] == []
