"""Files in MNIST's format, IDX: of its authors, or of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.cli.errors import UserError
from stages.core.data.settings import Folder
from stages.core.sources.fetch import unpacked

Array = NDArray[np.uint8]


def read(own: Folder) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Classes and arrays of the files in the folder, packed or not: train-images-idx3-ubyte, train-labels-idx1-ubyte,
    and t10k- or test-… where there are; EMNIST's, which lie on their side, are turned."""
    path = Path(own.path)
    train, test = _part(path, ("train",)), _part(path, ("t10k", "test"))
    if not train:
        raise UserError(
            f"{path} has no train-images-idx3-ubyte with its train-labels-idx1-ubyte, packed by gzip or not"
        )
    present = np.unique(train[1])
    for _, labels in filter(None, (train, test)):
        if set(np.unique(labels)) - set(present):
            raise UserError(f"{path}: the test set has labels that no training image has")
    names = own.classes or _mapping(path, present)
    if len(names) != len(present):
        raise UserError(f"params.yaml: folder.classes has {len(names)} names, but {path} has {len(present)} classes")
    arrays: dict[str, Array] = {}
    for part, pair in (("train", train), ("test", test)):
        if pair:
            arrays |= {f"{part}_images": pair[0], f"{part}_labels": np.searchsorted(present, pair[1]).astype(np.uint8)}
    return tuple(names), arrays


def _part(path: Path, beginnings: tuple[str, ...]) -> tuple[Array, NDArray[Any]] | None:
    found = []
    for kind in ("images-idx3", "labels-idx1"):
        files = [
            file
            for file in sorted(path.glob(f"*{kind}*"))
            if any(name in file.name.partition(kind)[0].split("-") for name in beginnings)
        ]
        if not files:
            return None
        if len({file.name.removesuffix(".gz") for file in files}) > 1:
            raise UserError(f"{path} has {files[0].name} and {files[1].name}: keep one data set in it")
        found.append((files[0], decode(files[0].read_bytes(), str(files[0]))))
    (file, images), (_, labels) = found
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise UserError(f"{file} holds {list(images.shape)} and its labels {list(labels.shape)}: they do not fit")
    if images.shape[1] != images.shape[2]:
        raise UserError(f"{file} has images of {images.shape[1]}×{images.shape[2]}: they must be square")
    turned = images.swapaxes(1, 2) if file.name.startswith("emnist") else images
    return np.ascontiguousarray(turned, np.uint8), labels


def _mapping(path: Path, present: NDArray[Any]) -> list[str]:
    """Of EMNIST's mapping.txt, whose lines are a label and the codes of its characters; else the labels' numbers."""
    files = list(path.glob("*mapping.txt"))
    if len(files) != 1:
        return [str(label) for label in present]
    rows = [line.split() for line in files[0].read_text().splitlines() if line.strip()]
    named = {int(row[0]): chr(int(row[1])) for row in rows}
    return [named.get(label, str(label)) for label in present.tolist()]


IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(">u1"), 0x0C: np.dtype(">i4")}


def decode(packed: bytes, name: str) -> NDArray[Any]:
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
