from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.cli.errors import UserError
from stages.core.cli.paths import SPLIT
from stages.core.data import datasets
from tests.workspace import Workspace, easy_images, publish_split


@pytest.mark.parametrize("size", [8, 14, 20, 28, 32, 56, 128])
def test_resizing_is_that_of_pillow(size: int) -> None:
    images, _ = easy_images(10)
    resized = datasets.resize(images[:, np.newaxis], size)
    assert resized.shape == (10, 1, size, size)
    assert resized.dtype == np.uint8
    for ours, image in zip(resized[:, 0], images, strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("value", [0, 255])
def test_resizing_keeps_an_even_image_even(value: int) -> None:
    assert (datasets.resize(np.full((1, 1, 28, 28), value, np.uint8), 45) == value).all()


def test_the_same_arrays_are_published_as_the_same_bytes(workspace: Workspace) -> None:
    publish_split()
    first = workspace.files()
    publish_split()
    assert workspace.files() == first


def test_the_hash_follows_the_arrays(workspace: Workspace) -> None:
    images, labels = easy_images(4)
    seen = set()
    for shift in range(3):
        datasets.publish(Path("data/some"), {"images": images, "labels": labels + np.uint8(shift)}, {})
        seen.add(datasets.metadata(Path("data/some"))["sha256"])
    assert len(seen) == 3


def test_a_set_is_loaded_in_the_size_asked_for(workspace: Workspace) -> None:
    publish_split(train=30)
    assert datasets.load("train").images.shape == (30, 1, 28, 28)
    assert datasets.load("train", 32).images.shape == (30, 1, 32, 32)
    assert datasets.load("train", 28).labels.tolist() == [*range(10)] * 3


@pytest.mark.parametrize("data", [None, b"", b"x" * 100, b"\xff" * 8], ids=["missing", "empty", "text", "huge header"])
def test_damaged_arrays_are_one_line(workspace: Workspace, data: bytes | None) -> None:
    publish_split()
    path = SPLIT / "images.safetensors"
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(UserError, match=r"images\.safetensors cannot be read \(.*dvc repro [^\n]*$"):
        datasets.load("test")


def test_truncated_arrays_are_one_line(workspace: Workspace) -> None:
    publish_split()
    path = SPLIT / "images.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"images\.safetensors cannot be read"):
        datasets.load("test")
