import gzip
import hashlib
import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision import datasets as torchvision

from stages.core.cli.errors import UserError
from stages.core.sources import catalogue as sources
from stages.core.sources.idx import decode as decode_idx
from tests.workspace import Workspace

IMAGES = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
LABELS = np.array([3, 7], np.uint8)
TYPES = {"u1": 0x08, "i4": 0x0C}


def idx(array: NDArray[Any]) -> bytes:
    header = struct.pack(">BBBB", 0, 0, TYPES[array.dtype.str[1:]], array.ndim)
    sizes = struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes(), mtime=0)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def mirror(monkeypatch: pytest.MonkeyPatch, folder: str, held: dict[str, bytes]) -> None:
    """A folder in the place of the mirrors, holding those files."""
    place = Path("mirror") / folder
    place.mkdir(parents=True)
    for name, data in held.items():
        (place / name).write_bytes(data)
    monkeypatch.setenv("CIFRA_MIRROR", "mirror")


@pytest.fixture(scope="module")
def digits() -> sources.Source:
    return sources.read("digits")


def test_digits_need_no_network(digits: sources.Source) -> None:
    """The fixture made them where no address can be reached: their source names no file."""
    assert digits.files == {}
    assert digits.arrays["train_images"].shape == (1797, 28, 28)
    assert np.bincount(digits.arrays["train_labels"]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_lie_in_a_box_of_20(digits: sources.Source) -> None:
    inked = digits.arrays["train_images"] > 0
    lines = [inked.any(axis=axis) for axis in (1, 2)]
    longer = np.maximum(*(28 - line.argmax(axis=1) - line[:, ::-1].argmax(axis=1) for line in lines))
    assert longer.min() >= 19
    assert longer.max() == 20
    assert digits.arrays["train_images"].max(axis=(1, 2)).min() == 255


def test_digits_are_centred_by_their_mass(digits: sources.Source) -> None:
    images = digits.arrays["train_images"].astype(float)
    mass = images.sum(axis=(1, 2))
    for axis in (1, 2):
        centres = (images.sum(axis=3 - axis) @ np.arange(28)) / mass
        assert np.abs(centres - 14).max() < 1


@pytest.mark.parametrize(
    ("dataset", "table", "classes"),
    [
        ("mnist", torchvision.MNIST, tuple("0123456789")),
        ("fashion_mnist", torchvision.FashionMNIST, ("T-shirt/top", "Trouser", "Pullover")),
        ("kmnist", torchvision.KMNIST, ("o", "ki", "su")),
    ],
)
def test_the_mnist_family_is_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, dataset: str, table: Any, classes: tuple[str, ...]
) -> None:
    parts = [idx(IMAGES), idx(LABELS), idx(IMAGES[:1]), idx(LABELS[:1])]
    held = dict(zip((name for name, _ in table.resources), parts, strict=True))
    mirror(monkeypatch, table.__name__, held)
    monkeypatch.setattr(table, "resources", [(name, md5(data)) for name, data in held.items()])
    source = sources.read(dataset)
    assert source.classes[: len(classes)] == classes
    assert len(source.classes) == 10
    assert source.files == {name: md5(data) for name, data in held.items()}
    assert np.array_equal(source.arrays["train_images"], IMAGES)
    assert source.arrays["test_labels"].tolist() == [3]
    assert {array.dtype for array in source.arrays.values()} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("table", [torchvision.MNIST, torchvision.FashionMNIST, torchvision.KMNIST])
def test_torchvision_lists_the_parts_in_the_order_we_read_them(table: Any) -> None:
    names = [name for name, _ in table.resources]
    wanted = ["train-images", "train-labels", "t10k-images", "t10k-labels"]
    assert all(name.startswith(part) for name, part in zip(names, wanted, strict=True))


def test_the_class_is_the_first_column_of_qmnists_labels(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([[3, 0, 99, 1, 0, 0, 0, 0], [7, 4, 2100, 0, 0, 0, 0, 0]], np.int32)
    tables = torchvision.QMNIST.resources
    names = [url.rpartition("/")[2] for kind in ("train", "test") for url, _ in tables[kind]]
    held = dict(zip(names, [idx(IMAGES), idx(labels), idx(IMAGES), idx(labels[::-1])], strict=True))
    mirror(monkeypatch, "QMNIST", held)
    resources = {
        kind: [(url, md5(held[url.rpartition("/")[2]])) for url, _ in tables[kind]] for kind in ("train", "test")
    }
    monkeypatch.setattr(torchvision.QMNIST, "resources", resources)
    arrays = sources.read("qmnist").arrays
    assert arrays["train_labels"].tolist() == [3, 7]
    assert arrays["test_labels"].tolist() == [7, 3]
    assert arrays["train_labels"].dtype == np.uint8


def test_emnist_stands_up(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is published with rows and columns exchanged."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for part in ("train", "test"):
            packed.writestr(f"gzip/emnist-digits-{part}-images-idx3-ubyte.gz", idx(IMAGES.transpose(0, 2, 1)))
            packed.writestr(f"gzip/emnist-digits-{part}-labels-idx1-ubyte.gz", idx(LABELS))
        packed.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", b"not ours")
    mirror(monkeypatch, "EMNIST", {"gzip.zip": archive.getvalue()})
    monkeypatch.setattr(torchvision.EMNIST, "md5", md5(archive.getvalue()))
    arrays = sources.read("emnist_digits").arrays
    assert np.array_equal(arrays["train_images"], IMAGES)
    assert np.array_equal(arrays["test_images"], IMAGES)
    assert arrays["test_images"].flags.c_contiguous


@given(
    st.sampled_from([np.uint8, np.int32]),
    st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    st.integers(0, 2**32 - 1),
)
def test_idx_comes_back_as_it_went(kind: type[np.generic], shape: tuple[int, ...], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 128, shape).astype(kind)
    assert np.array_equal(decode_idx(idx(array), "some.gz"), array)


def decodes_or_explains(packed: bytes) -> None:
    message = "some.gz is an array"
    try:
        decode_idx(packed, "some.gz")
    except UserError as error:
        message = str(error)
    assert re.fullmatch(r"some\.gz .+", message)


@given(st.binary(max_size=200))
def test_garbage_is_explained(packed: bytes) -> None:
    decodes_or_explains(packed)


@given(
    st.binary(max_size=2),
    st.sampled_from([0x08, 0x0C, 0x0D]),
    st.integers(0, 255),
    st.lists(st.sampled_from([-(2**31), -1, 0, 1, 2, 2**31 - 1]), max_size=200),
    st.binary(max_size=16),
)
def test_impossible_headers_are_explained(zeros: bytes, kind: int, rank: int, sizes: list[int], values: bytes) -> None:
    header = (zeros or b"\0\0") + bytes([kind, rank]) + struct.pack(f">{len(sizes)}i", *sizes)
    decodes_or_explains(gzip.compress(header + values))


@pytest.mark.parametrize("rank", [4, 64, 65, 255])
def test_more_dimensions_than_an_image_set_has_are_refused(rank: int) -> None:
    packed = gzip.compress(bytes([0, 0, 8, rank]) + struct.pack(">i", 1) * rank + b"x")
    with pytest.raises(UserError, match="more than 3 dimensions"):
        decode_idx(packed, "some.gz")


@given(st.integers(0, len(idx(IMAGES)) - 1))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(UserError, match=r"^some\.gz "):
        decode_idx(idx(IMAGES)[:length], "some.gz")


@given(st.integers(0, 7 + 2 * 28 * 28))
def test_every_truncation_before_packing_is_refused(length: int) -> None:
    with pytest.raises(UserError, match=r"^some\.gz "):
        decode_idx(gzip.compress(gzip.decompress(idx(IMAGES))[:length]), "some.gz")
