"""Split data/raw into training, validation and test set: seeded, by class, disjoint; publish them as data/split.

python -m stages.split
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from stages.core.cli import params, paths
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.params import Params
from stages.core.data import datasets
from stages.core.data.augment import augment
from stages.core.data.datasets import SETS, LabelledImages
from stages.core.data.settings import Augment

Sets = dict[str, LabelledImages]


def main() -> None:
    chosen = params.load()
    raw = datasets.metadata(paths.RAW)
    sets = subset(split(datasets.arrays(paths.RAW), chosen), chosen)
    copies = chosen.digits.augmented_copies if raw["dataset"] == "digits" else 0
    sets["train"], is_copy = with_copies(sets["train"], copies, chosen.digits.augment, chosen.seed)
    robustness, is_changed = with_copies(sets["validation"], copies, chosen.digits.augment, chosen.seed)
    changed = LabelledImages(robustness.images[is_changed == 1], robustness.labels[is_changed == 1])
    metadata = {
        "dataset": raw["dataset"],
        "classes": raw["classes"],
        "shape": [1, chosen.split.image_size, chosen.split.image_size],
        "copies": copies,
        "validation_from": chosen.split.validation_from,
        "counts": {name: counts(sets[name], len(raw["classes"])) for name in SETS},
    }
    publish(sets | ({"robustness": changed} if copies else {}), is_copy, metadata, chosen.split.image_size)
    print(", ".join(f"{name} {len(sets[name]):,}" for name in SETS))


def split(raw: dict[str, datasets.Array], chosen: Params) -> Sets:
    """The three sets; a source without a test set gives a share of its images as one."""
    train = LabelledImages(raw["train_images"], raw["train_labels"])
    if "test_images" in raw:
        test = LabelledImages(raw["test_images"], raw["test_labels"])
    else:
        train, test = divide(train, chosen.digits.test_share, chosen.seed)
    if chosen.split.validation_from == "train":
        train, validation = divide(train, chosen.split.validation_share, chosen.seed)
    else:
        test, validation = divide(test, chosen.split.validation_share, chosen.seed)
    return {"train": train, "validation": validation, "test": test}


def subset(sets: Sets, chosen: Params) -> Sets:
    wanted = chosen.split.subset.model_dump()
    for name, size in wanted.items():
        if size is not None and size > len(sets[name]):
            raise UserError(
                f"split.subset.{name} is {size} but the {name} set has {len(sets[name])} images: "
                "lower it, or null for all, in params.yaml"
            )
    return {
        name: divide(images, wanted[name], chosen.seed)[1] if wanted[name] not in (None, len(images)) else images
        for name, images in sets.items()
    }


def divide(images: LabelledImages, taken: float | int, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """What is left, and what is taken: a share or a number of images, with the classes in proportion."""
    try:
        left, out = train_test_split(np.arange(len(images)), test_size=taken, random_state=seed, stratify=images.labels)
    except ValueError as error:
        raise UserError(
            f"cannot take {taken} of {len(images)} images by class: {str(error).rstrip('.')}. "
            "Change the share, or the subset, in params.yaml"
        ) from None
    return tuple(LabelledImages(images.images[part], images.labels[part]) for part in map(np.sort, (left, out)))  # type: ignore[return-value]


def with_copies(
    images: LabelledImages, copies: int, change: Augment, seed: int
) -> tuple[LabelledImages, datasets.Array]:
    """Each image and so many augmented copies of it, shuffled, and which of all are copies (1)."""
    if not copies:
        return images, np.zeros(len(images), np.uint8)
    own, generator = torch.from_numpy(images.images).unsqueeze(1), torch.Generator().manual_seed(seed)
    changed = [(augment(own, change, generator) * 255).round().byte().squeeze(1).numpy() for _ in range(copies)]
    everything = LabelledImages(np.concatenate([images.images, *changed]), np.tile(images.labels, copies + 1))
    order = np.random.default_rng(seed).permutation(len(everything))  # some recipes do not shuffle
    is_copy = (order >= len(images)).astype(np.uint8)
    return LabelledImages(everything.images[order], everything.labels[order]), is_copy


def counts(images: LabelledImages, classes: int) -> list[int]:
    return [int(count) for count in np.bincount(images.labels, minlength=classes)]


def publish(sets: Sets, is_copy: datasets.Array, metadata: dict[str, Any], size: int) -> None:
    arrays: dict[str, NDArray[np.uint8]] = {"train_copies": is_copy}
    for name, held in sets.items():
        arrays[f"{name}_images"] = datasets.resize(held.images[:, np.newaxis], size)
        arrays[f"{name}_labels"] = held.labels
    datasets.publish(paths.SPLIT, arrays, metadata)


if __name__ == "__main__":
    command(main, __doc__)
