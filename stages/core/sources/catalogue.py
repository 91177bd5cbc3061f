"""The data sets as their authors published them, decoded into arrays and checked."""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.cli.errors import UserError
from stages.core.sources import digits
from stages.core.sources.fetch import RemoteFile, fetch, unpacked

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
    """`arrays`: `train_images` [N, H, W], `train_labels` [N], and the test set's where the source has one."""

    classes: tuple[str, ...]
    files: dict[str, str]
    arrays: dict[str, Array]


def read(dataset: str) -> Source:
    readers = {"digits": _digits, "qmnist": _qmnist, "emnist_digits": _emnist_digits}
    return readers.get(dataset, lambda: _mnist_like(dataset))()


def _digits() -> Source:
    """Alpaydin and Kaynak's digits as they ship with scikit-learn, 8×8, set into 28×28 as MNIST set its own."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    enlarged = digits.enlarge(images.reshape(-1, 8, 8))
    return Source(DIGITS, {}, {"train_images": enlarged, "train_labels": labels.astype(np.uint8)})


def _mnist_like(dataset: str) -> Source:
    from torchvision import datasets

    table = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[dataset]
    classes = DIGITS if dataset == "mnist" else tuple(table.classes)
    originals = [
        RemoteFile(table.__name__, name, md5, [mirror + name for mirror in table.mirrors], CONTENT.get(md5, ""))
        for name, md5 in table.resources
    ]
    return _from_idx(classes, originals)


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
        parts = [decode_idx(archive.read(f"gzip/{name}"), name) for name in names]
    arrays = _name(parts)
    for images in ("train_images", "test_images"):
        arrays[images] = np.ascontiguousarray(arrays[images].swapaxes(1, 2))  # EMNIST keeps them lying down
    return Source(DIGITS, {original.name: original.md5}, arrays)


def _from_idx(classes: tuple[str, ...], originals: list[RemoteFile]) -> Source:
    parts = [decode_idx(fetch(original), original.name) for original in originals]
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


IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(">u1"), 0x0C: np.dtype(">i4")}


def decode_idx(packed: bytes, name: str) -> NDArray[Any]:
    """The array in an IDX file, packed or not (two zero bytes, type, rank, sizes as big-endian int32, values)."""
    data = unpacked(packed)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise UserError(f"{name} is neither an IDX file nor a whole gzip file of one: delete it and run again")
    dtype, rank = IDX_TYPES[data[2]], data[3]
    if len(data) < 4 + 4 * rank or rank > 3:
        raise UserError(f"{name} ends inside its header or has more than 3 dimensions: delete it and run again")
    shape = tuple(int(size) for size in np.frombuffer(data, ">i4", rank, offset=4))
    values = len(data) - 4 - 4 * rank
    if min(shape, default=0) <= 0 or values != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise UserError(f"{name} says {shape} but holds {values} bytes: delete it and run again")
    array: NDArray[Any] = np.frombuffer(data, dtype, offset=4 + 4 * rank)
    return array.reshape(shape)
