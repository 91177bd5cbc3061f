"""Challenges are solved when the networks say so."""

from typing import Any

from tests.page.reader import SEVEN, Reader

SIDES = """async ([one, other]) => {
    const { page } = await import("./main.js");
    const side = (kind, label, more) => ({
        model: { layers: [{ kind }] }, ablated: [], untouched: null,
        answer: { label, index: Number(label), confidence: 0.7, doubt: false }, ...more });
    page.challenges.look([side(...one), ...(other ? [side(...other)] : [])]);
    return page.challenges.done.filter(Boolean);
}"""


def solved(reader: Reader, one: list[Any], other: list[Any] | None = None) -> list[str]:
    return list(reader.page.evaluate(SIDES, [one, other]))


def start(reader: Reader, number: int) -> None:
    reader.page.click("#challenges-open")
    reader.page.locator("#challenges-list li").nth(number).locator("button").click()
    reader.wait_for_verdict()


def test_a_seven_is_moved_until_a_dense_network_fails(reader: Reader) -> None:
    start(reader, 0)
    before = reader.image()
    assert solved(reader, ["dense", "2"], ["convolution", "7"]) == []  # not moved yet
    for _ in range(5):
        reader.page.click("#movers [data-arrow=ArrowRight]")
    reader.settle()
    moved = reader.image()
    assert [moved[28 * 10 + column] for column in range(3, 28)] == [before[28 * 10 + column] for column in range(25)]
    assert solved(reader, ["dense", "7"], ["convolution", "7"]) == []
    assert solved(reader, ["dense", "2"], ["convolution", "7"]) == ["challenge.move"]
    assert "three pixels" in reader.notice("solved")


def test_a_three_is_made_of_an_eight(reader: Reader) -> None:
    start(reader, 1)
    assert solved(reader, ["dense", "3"]) == []
    reader.draw()
    assert solved(reader, ["dense", "3"]) == ["challenge.change"]
    reader.page.click("#challenges-open")
    assert "solved" in reader.text("#challenges-list li:nth-child(2) b")


def test_a_filter_without_which_it_fails(reader: Reader) -> None:
    reader.draw(SEVEN)
    off = {"ablated": [{"layer": "conv1", "unit": 0}], "untouched": [0.1] * 7 + [0.9, 0.1, 0.1]}
    assert solved(reader, ["dense", "7", off]) == []
    assert solved(reader, ["dense", "2", off]) == ["challenge.filter"]


def test_two_networks_quarrel(reader: Reader) -> None:
    two, three = (
        {"answer": {"label": label, "index": int(label), "confidence": 0.9, "doubt": False}} for label in "23"
    )
    assert solved(reader, ["dense", "2", two], ["dense", "2", two]) == []
    assert solved(reader, ["dense", "2", two], ["dense", "3", three]) == ["challenge.quarrel"]


def test_one_sure_stroke(reader: Reader) -> None:
    sure = {"answer": {"label": "7", "index": 7, "confidence": 0.995, "doubt": False}}
    reader.draw(SEVEN)
    assert solved(reader, ["dense", "7", sure]) == ["challenge.sure"]
