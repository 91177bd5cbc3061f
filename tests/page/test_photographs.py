"""The page of a network that takes whole pictures: nothing is drawn, colour stays colour, many classes stay usable."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from stages.core.networks import networks
from stages.core.onnx import onnx_file
from tests.page.reader import Reader
from tests.photographs import write
from tests.serve.running import running

CLASSES = [f"class number {number}" for number in range(100)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("photographs")
    torch.manual_seed(0)
    built = networks.build("lenet_any", (3, 24, 24), len(CLASSES), filters=[4], widths=[8]).eval()
    proto = onnx_file.to_onnx(built)
    preparation = {"picture": "whole", "fit": "crop"}
    onnx_file.describe(proto, {"classes": CLASSES, "dataset": "folder", "preparation": preparation})
    onnx.save(proto, folder / "photo.onnx")
    np.save(folder / "samples.npy", np.random.default_rng(0).integers(0, 256, (4, 3, 24, 24), np.uint8))
    facts = {"dataset": "folder", "classes": CLASSES, "labels": [0, 1, 2, 3], "networks": {}}
    (folder / "samples.json").write_text(json.dumps(facts))
    with running(folder) as found:
        yield f"http://127.0.0.1:{found.client.port}/"


@pytest.fixture
def reader(open_page: Callable[..., Reader], photographs: str, tmp_path: Path) -> Reader:
    write(tmp_path, 1, 100)
    reader = open_page(at=photographs)
    reader.page.set_input_files("#upload", next(tmp_path.rglob("*.jpg")))
    reader.page.locator("#verdict-big", has_text="class number").wait_for()
    return reader


def test_a_picture_is_answered_and_seen_in_colour(reader: Reader) -> None:
    drawn: Any = reader.page.evaluate(
        "[...document.querySelector('#seen-true').getContext('2d').getImageData(0, 0, 24, 24).data]"
    )
    pixels = np.array(drawn).reshape(24, 24, 4)[..., :3]
    assert (pixels != pixels[..., :1]).any()


def test_nothing_can_be_drawn_on_a_photograph(reader: Reader) -> None:
    assert not reader.page.is_visible("#eraser")
    pad = reader.page.locator("#pad")
    before = pad.get_attribute("aria-label")
    pad.click(position={"x": 30, "y": 30})
    assert pad.get_attribute("aria-label") == before


def test_of_many_classes_five_are_shown_and_others_found(reader: Reader) -> None:
    rows = reader.page.locator("#bars li:visible")
    assert rows.count() == 5
    reader.page.fill("#bars-search", "number 42")
    assert rows.all_inner_texts()[0].startswith("class number 42")
    assert rows.count() == 1
