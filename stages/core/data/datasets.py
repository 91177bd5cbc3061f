"""The images and labels on disk: two safetensors files, with what they are in the metadata of the file."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stages.core.cli import files
from stages.core.cli.errors import UserError
from stages.core.cli.paths import SPLIT

SETS = ("train", "validation", "test")

AT_ONCE = 1000  # images that are floats at a time

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """`images` [N, C, H, W], 0–255; `labels` [N]; and where they are known, whose image each is, and its file."""

    images: Array
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None
    names: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, part: NDArray[Any]) -> "LabelledImages":
        """Those with the given numbers."""
        groups, names = (None if held is None else held[part] for held in (self.groups, self.names))
        return LabelledImages(self.images[part], self.labels[part], groups, names)


def publish(folder: Path, arrays: Mapping[str, NDArray[Any]], metadata: dict[str, Any]) -> None:
    """`images.safetensors` and `dataset.json`, whose `sha256` is that of the arrays' bytes."""
    hashes = {name: files.sha256(np.ascontiguousarray(array).tobytes()) for name, array in sorted(arrays.items())}
    metadata = metadata | {"sha256": files.sha256(files.json_bytes(hashes)), "arrays": hashes}
    with files.fresh_folder(folder) as fresh:
        files.write(fresh / "images.safetensors", save(dict(arrays)))
        files.write_json(fresh / "dataset.json", metadata)


def metadata(folder: Path = SPLIT) -> dict[str, Any]:
    found: dict[str, Any] = files.read_json(folder / "dataset.json")
    return found


def arrays(folder: Path) -> dict[str, Array]:
    """Mapped to memory: what is not looked at stays on disk, and what is changed does not get there."""
    path = folder / "images.safetensors"
    try:
        with safe_open(path, framework="numpy"):  # a whole file of its kind
            pass
        with path.open("rb") as file:
            [length] = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        return {name: _mapped(path, 8 + length, held) for name, held in header.items() if name != "__metadata__"}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): run `dvc repro split`, which makes it") from None


def _mapped(path: Path, start: int, held: dict[str, Any]) -> Array:
    kind = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32}[held["dtype"]]
    found: Array = np.memmap(path, kind, "c", start + held["data_offsets"][0], tuple(held["shape"]))
    return found


def names() -> list[str]:
    """The sets of the split: SETS, and `robustness` where there are augmented copies of the validation images."""
    return [name.removesuffix("_labels") for name in arrays(SPLIT) if name.endswith("_labels")]


def load(name: str, size: int | None = None, copies: bool = True) -> LabelledImages:
    """The train, validation or test set of the split, its images enlarged to `size` pixels a side if need be.

    Args:
        copies: with the augmented copies of images that the split may have added to the training set.
    """
    held = arrays(SPLIT)
    images, labels = held[f"{name}_images"], held[f"{name}_labels"]
    if name == "train" and not copies:
        own = held["train_copies"] == 0
        images, labels = images[own], labels[own]
    return LabelledImages(resize(images, size) if size else images, labels)


def resize(images: Array, size: int) -> Array:
    """Bilinear, pixel centres half a pixel in and smoothed when reduced, as Pillow does it."""
    if images.shape[-1] == size:
        return images
    weights = _bilinear(images.shape[-1], size)
    resized = np.empty((*images.shape[:-2], size, size), np.uint8)
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE].astype(np.float32)
        resized[start : start + AT_ONCE] = np.rint(weights @ some @ weights.T)
    return resized


def _bilinear(old: int, new: int) -> NDArray[np.float32]:
    """[new, old]: how much each old pixel of a line gives to each new one."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(old))
    weights = np.clip(1 - distance / max(1, old / new), 0, 1)
    normalized: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalized
