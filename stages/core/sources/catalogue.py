"""The data sets as their authors published them, decoded into arrays and checked."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.data.settings import Folder
from stages.core.sources import digits, folder, idx
from stages.core.sources.fetch import RemoteFile, fetch

Array = NDArray[np.uint8]
DIGITS = tuple("0123456789")
# MD5 of what is packed in a published file, by its own: of train-images, train-labels, t10k-images, t10k-labels.
CONTENT = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": "6bbc9ace898e44ae57da46a324031adb",  # MNIST
    "d53e105ee54ea40749a09fcbcd1e9432": "a25bea736e30d166cdddb491f175f624",
    "9fb629c4189551a2d022fa330f9573f3": "2646ac647ad5339dbf082846283269ea",
    "ec29112dd5afa0611ce80d1b7f02629c": "27ae3e4e09519cfbb04c329615203637",
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "f4a8712d7a061bf5bd6d2ca38dc4d50a",  # FashionMNIST
    "25c81989df183df01b3e8a0aad5dffbe": "9018921c3c673c538a1fc5bad174d6f9",
    "bef4ecab320f06d8554ea6380940ec79": "8181f5470baa50b63fa0f6fddb340f0a",
    "bb300cfdad3c16e7a12a480ee83cd310": "15d484375f8d13e6eb1aabb0c3f46965",
}


@dataclass(frozen=True)
class Source:
    """What was found, and how a picture is prepared to look like it.

    Attributes:
        arrays: `train_images` [N, H, W] or [N, C, H, W], `train_labels` [N], where images belong together
            `train_groups` [N], and those of the validation and test set where the source has one.
        preparation: as `serve.pictures.prepare` knows it.
        names: of the files of each part, where the images come one by one.
    """

    classes: tuple[str, ...]
    files: dict[str, str]
    arrays: dict[str, Array]
    preparation: dict[str, Any] = field(default_factory=lambda: {"picture": "digit", "softness": 0.0})
    names: dict[str, list[str]] = field(default_factory=dict)


def read(dataset: str, own: Folder | None = None) -> Source:
    """`own` says where images of one's own are."""
    readers: dict[str, Callable[[], Source]] = {
        "digits": _digits,
        "qmnist": _qmnist,
        "emnist_digits": _emnist_digits,
        "cifar10": _cifar10,
        "folder": partial(_folder, own),
        "idx": partial(_idx, own),
    }
    return readers.get(dataset, partial(_mnist_like, dataset))()


def _folder(own: Folder | None) -> Source:
    assert own
    found = folder.read(own)
    return Source(found.classes, {}, found.arrays, {"picture": "whole", "fit": own.fit}, found.names)


def _idx(own: Folder | None) -> Source:
    assert own
    classes, arrays = idx.read(own)
    return Source(classes, {}, arrays, {"picture": "whole", "fit": own.fit})


def _digits() -> Source:
    """Alpaydin and Kaynak's digits as they ship with scikit-learn, 8×8, set into 28×28 as MNIST set its own."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    enlarged = digits.enlarge(images.reshape(-1, 8, 8))
    arrays = {"train_images": enlarged, "train_labels": labels.astype(np.uint8)}
    # An image counted the ink of 4×4 pixels, and to a network that saw no other, crisp edges are a sight of their own.
    return Source(DIGITS, {}, arrays, {"picture": "digit", "softness": 0.7})


def _mnist_like(dataset: str) -> Source:
    from torchvision import datasets

    table = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[dataset]
    classes = DIGITS if dataset == "mnist" else tuple(table.classes)
    originals = [
        RemoteFile(table.__name__, name, md5, [mirror + name for mirror in table.mirrors], CONTENT.get(md5, ""))
        for name, md5 in table.resources
    ]
    source = _from_idx(classes, originals)
    return source if classes == DIGITS else replace(source, preparation={"picture": "thing"})


def _qmnist() -> Source:
    from torchvision.datasets import QMNIST

    resources = QMNIST.resources["train"] + QMNIST.resources["test"]
    return _from_idx(DIGITS, [RemoteFile("QMNIST", url.rpartition("/")[2], md5, [url]) for url, md5 in resources])


def _emnist_digits() -> Source:
    from torchvision.datasets import EMNIST

    original = RemoteFile("EMNIST", "gzip.zip", EMNIST.md5, [EMNIST.url])
    names = [
        f"emnist-digits-{part}-{kind}-ubyte.gz" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
    ]
    with zipfile.ZipFile(io.BytesIO(fetch(original))) as archive:
        parts = [idx.decode(archive.read(f"gzip/{name}"), name) for name in names]
    arrays = _name(parts)
    for images in ("train_images", "test_images"):
        arrays[images] = np.ascontiguousarray(arrays[images].swapaxes(1, 2))  # EMNIST keeps them lying down
    return Source(DIGITS, {original.name: original.md5}, arrays)


CIFAR10 = RemoteFile(
    "CIFAR10",
    "cifar-10-binary.tar.gz",  # torchvision's is the same as pickles, which run code when read
    "c32a1d4ab5d03f1284b67883e8d87530",
    ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
)


def _cifar10() -> Source:
    with tarfile.open(fileobj=io.BytesIO(fetch(CIFAR10))) as archive:

        def part(name: str) -> bytes:
            held = archive.extractfile(f"cifar-10-batches-bin/{name}")
            return held.read() if held else b""

        train = b"".join(part(f"data_batch_{number}.bin") for number in range(1, 6))
        classes = tuple(part("batches.meta.txt").decode().split())
        parts = {"train": train, "test": part("test_batch.bin")}
    arrays: dict[str, Array] = {}
    for name, data in parts.items():
        rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
        arrays |= {f"{name}_images": rows[:, 1:].reshape(-1, 3, 32, 32), f"{name}_labels": rows[:, 0]}
    return Source(classes, {CIFAR10.name: CIFAR10.md5}, arrays, {"picture": "whole", "fit": "crop"})


def _from_idx(classes: tuple[str, ...], originals: list[RemoteFile]) -> Source:
    parts = [idx.decode(fetch(original), original.name) for original in originals]
    return Source(classes, {original.name: original.md5 for original in originals}, _name(parts))


def _name(parts: list[NDArray[Any]]) -> dict[str, Array]:
    """Images and labels of the training set, then of the test set."""
    train_images, train_labels, test_images, test_labels = parts
    arrays = {
        "train_images": train_images,
        "train_labels": _first_column(train_labels),
        "test_images": test_images,
        "test_labels": _first_column(test_labels),
    }
    return {name: array.astype(np.uint8) for name, array in arrays.items()}


def _first_column(labels: NDArray[Any]) -> NDArray[Any]:
    """QMNIST's labels are rows: the class, then the writer and more."""
    return labels[:, 0] if labels.ndim == 2 else labels
