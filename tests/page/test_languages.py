"""English and Spanish: complete, the same, remembered, numbers included."""

import json
import re
from pathlib import Path

import pytest

from tests.page.reader import Reader

PAGE = Path(__file__).parents[2] / "serve" / "page"
WORDS = {name: json.loads((PAGE / "locales" / f"{name}.json").read_text()) for name in ("en", "es")}


def test_both_languages_have_the_same_words() -> None:
    assert list(WORDS["en"]) == list(WORDS["es"])
    for key, english in WORDS["en"].items():
        spanish = WORDS["es"][key]
        assert english.strip(), key
        assert spanish.strip(), key
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", spanish)), key


def test_every_word_that_the_page_asks_for_is_there() -> None:
    asked = set(re.findall(r'data-t(?:-label|-title)?="([^"]+)"', (PAGE / "index.html").read_text()))
    for script in PAGE.glob("*.js"):
        asked |= set(re.findall(r'\bt\(\s*"([^"]+)"', script.read_text()))
        asked |= set(re.findall(r'"((?:why|filter|gallery|verdict|unit|legend|layer)\.[a-z.]+)"', script.read_text()))
    assert asked - set(WORDS["en"]) == set()
    notices = set(re.findall(r'notices\.show\("([a-z-]+)"', (PAGE / "main.js").read_text()))
    assert {f"notice.{name}" for name in notices} <= set(WORDS["en"])


def test_no_word_is_there_for_nothing() -> None:
    text = (PAGE / "index.html").read_text() + "".join(script.read_text() for script in PAGE.glob("*.js"))
    families = ("term.", "tour.", "notice.")
    assert [key for key in WORDS["en"] if key not in text and not key.startswith(families)] == []


@pytest.mark.parametrize(
    ("locale", "address", "language"), [("es-MX", "", "es"), ("en-GB", "?lang=es", "es"), ("fr-FR", "", "en")]
)
def test_the_language_is_the_readers(open_page, locale: str, address: str, language: str) -> None:  # type: ignore[no-untyped-def]
    reader = open_page(address, locale=locale)
    assert reader.page.get_attribute("html", "lang") == language
    assert reader.text("#clear") == WORDS[language]["clear"]


def test_the_choice_is_remembered_and_keeps_the_drawing(reader: Reader) -> None:
    reader.draw()
    reader.page.click("[data-language=es]")
    reader.page.wait_for_selector("html[lang=es]")
    assert re.fullmatch(r"\d{1,3},\d\u00a0%", reader.text("#bars .value"))
    assert reader.strokes() == 1
    reader.page.reload()
    reader.page.wait_for_selector("html[data-ready]")
    assert reader.text("#clear") == "Borrar todo"


def test_nothing_is_left_in_english(open_page) -> None:  # type: ignore[no-untyped-def]
    reader = open_page(locale="es-ES")
    reader.draw()
    reader.press_unit("conv2")
    shown = reader.page.evaluate(
        """() => {
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const texts = [];
            while (walker.nextNode()) {
                const element = walker.currentNode.parentElement;
                if (!element.closest("[lang=en], script")) texts.push(walker.currentNode.data.trim());
            }
            return texts;
        }"""
    )
    only_english = {text for key, text in WORDS["en"].items() if text != WORDS["es"][key] and len(text) > 3}
    assert only_english & set(shown) == set()


def test_longer_words_still_fit(open_page) -> None:  # type: ignore[no-untyped-def]
    longer = {key: text + " wort" * round(len(text) * 0.4 / 5) for key, text in WORDS["en"].items()}
    reader = open_page(viewport={"width": 320, "height": 640})
    reader.page.route("**/locales/en.json", lambda route: route.fulfill(json=longer))
    reader.page.reload()
    reader.page.wait_for_selector("html[data-ready]")
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 320
