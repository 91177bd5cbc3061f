"""What is drawn on the board is prepared in the page as by the server."""

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bench.hand import OTHERS, WAYS, digits, others
from serve.http.samples import resized
from serve.pictures.prepare import CRISP, OF_DATASET, THING, opened, prepare, thing
from serve.pictures.sheet import sheet
from tests.node.running import node

SIDE = 112  # pixels of the board

PREPARE = """
    const { prepared } = await import(page + "/prepare.js");
    const [all, size, told] = [bytesOf(args[0]), Number(args[2]), JSON.parse(args[3])];
    const found = [];
    for (let at = 0; at < all.length; at += 112 * 112) {
        const picture = { data: all.subarray(at, at + 112 * 112), height: 112, width: 112 };
        found.push(prepared(picture, [1, size, size], told) ?? new Uint8Array(size * size));
    }
    writeFileSync(args[1], Buffer.concat(found));
"""


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    """Digits in eight ways and other things; but for six zeros with a slash, which the server takes for photographs of
    a sheet and looks into."""
    written = chain.from_iterable((picture for _, picture in digits(way)) for way in WAYS)
    drawn = [*written, *chain.from_iterable(others(kind, 46) for kind in OTHERS)]
    found = [picture for picture in drawn if sheet(opened(picture)) is None]
    assert len(found) >= len(drawn) - 6
    return found


def in_the_page(drawings: list[Image.Image], size: int, told: Mapping[str, Any], folder: Path) -> np.ndarray:
    (folder / "drawings").write_bytes(b"".join(picture.tobytes() for picture in drawings))
    node(PREPARE, folder / "drawings", folder / "prepared", size, json.dumps(told))
    return np.fromfile(folder / "prepared", np.uint8).reshape(len(drawings), size, size)


@pytest.mark.parametrize(("size", "dataset"), [(28, "digits"), (28, "mnist"), (32, "digits")])
def test_five_hundred_drawings(drawings: list[Image.Image], size: int, dataset: str, tmp_path: Path) -> None:
    assert len(drawings) >= 500
    theirs = np.stack([prepare(picture, size, float(OF_DATASET[dataset]["softness"])) for picture in drawings])
    off = np.abs(in_the_page(drawings, size, OF_DATASET[dataset], tmp_path).astype(int) - theirs).max(axis=(1, 2))
    assert off.max() == 0, {int(number): int(off[number]) for number in np.flatnonzero(off)}


def test_specks_and_a_second_digit(tmp_path: Path) -> None:
    board = Image.new("L", (SIDE, SIDE))
    pencil = ImageDraw.Draw(board)
    pencil.line((50, 25, 50, 85), 255, 8)
    speck, beside, framed = board.copy(), board.copy(), board.copy()
    ImageDraw.Draw(speck).ellipse((90, 90, 93, 93), 255)
    ImageDraw.Draw(beside).line((70, 25, 70, 85), 255, 8)
    ImageDraw.Draw(framed).rectangle((2, 2, 109, 109), None, 255, 3)
    pictures = [speck, beside, framed]
    theirs = np.stack([prepare(picture, 28) for picture in pictures])
    assert np.abs(in_the_page(pictures, 28, CRISP, tmp_path).astype(int) - theirs).max() <= 1


def test_what_is_no_digit_stays_whole(drawings: list[Image.Image], tmp_path: Path) -> None:
    theirs = np.stack([thing(picture, (28, 28)) for picture in drawings[:30]])
    assert np.abs(in_the_page(drawings[:30], 28, THING, tmp_path).astype(int) - theirs).max() <= 1


def test_test_images_at_another_size(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 28, 28), np.uint8)
    script = """
        const { resizedBytes } = await import(page + "/resample.js");
        const all = bytesOf(args[0]);
        const each = Array.from({ length: 20 }, (_, at) => resizedBytes(all.subarray(at * 784, (at + 1) * 784), 32));
        writeFileSync(args[1], Buffer.concat(each));
    """
    (tmp_path / "images").write_bytes(images.tobytes())
    node(script, tmp_path / "images", tmp_path / "larger")
    assert (tmp_path / "larger").read_bytes() == resized(images, 32).tobytes()
