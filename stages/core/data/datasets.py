"""The images and labels on disk: two safetensors files, with what they are in the metadata of the file."""

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

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """`images` [N, 1, H, W], light on dark, 0–255; `labels` [N]."""

    images: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


def publish(folder: Path, arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
    """`images.safetensors` and `dataset.json`, whose `sha256` is that of the arrays' bytes."""
    hashes = {name: files.sha256(np.ascontiguousarray(array).tobytes()) for name, array in sorted(arrays.items())}
    metadata = metadata | {"sha256": files.sha256(files.json_bytes(hashes)), "arrays": hashes}
    with files.fresh_folder(folder) as fresh:
        files.write(fresh / "images.safetensors", save(arrays))
        files.write_json(fresh / "dataset.json", metadata)


def metadata(folder: Path = SPLIT) -> dict[str, Any]:
    found: dict[str, Any] = files.read_json(folder / "dataset.json")
    return found


def arrays(folder: Path) -> dict[str, Array]:
    path = folder / "images.safetensors"
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): run `dvc repro split`, which makes it") from None


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
    resized: Array = np.rint(weights @ images.astype(np.float32) @ weights.T).astype(np.uint8)
    return resized


def _bilinear(old: int, new: int) -> NDArray[np.float32]:
    """[new, old]: how much each old pixel of a line gives to each new one."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(old))
    weights = np.clip(1 - distance / max(1, old / new), 0, 1)
    normalized: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalized
