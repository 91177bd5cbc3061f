"""Split data/raw into training, validation and test set: seeded, by class, disjoint; publish them as data/split.

python -m stages.split
"""

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from stages.core.cli import params, paths
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.params import Params
from stages.core.data import datasets, duplicates
from stages.core.data.augment import augment
from stages.core.data.datasets import SETS, LabelledImages
from stages.core.data.settings import Augment

NAMED = 10  # duplicates that are told one by one

Sets = dict[str, LabelledImages]


def main() -> None:
    chosen = params.load()
    raw = datasets.metadata(paths.RAW)
    held = datasets.arrays(paths.RAW)
    sets = subset(split(held, chosen, raw.get("names", {})), chosen)
    size = chosen.split.image_size or held["train_images"].shape[-1]
    copies = chosen.digits.augmented_copies if raw["dataset"] == "digits" else 0
    sets["train"], is_copy = with_copies(sets["train"], copies, chosen.digits.augment, chosen.seed)
    robustness, is_changed = with_copies(sets["validation"], copies, chosen.digits.augment, chosen.seed)
    changed = LabelledImages(robustness.images[is_changed == 1], robustness.labels[is_changed == 1])
    metadata = {
        "dataset": raw["dataset"],
        "classes": raw["classes"],
        "preparation": raw["preparation"],
        "shape": [1 if held["train_images"].ndim == 3 else held["train_images"].shape[1], size, size],
        "copies": copies,
        "validation_from": chosen.split.validation_from,
        "counts": {name: counts(sets[name], len(raw["classes"])) for name in SETS},
    }
    publish(sets | ({"robustness": changed} if copies else {}), is_copy, metadata, size)
    report_duplicates(sets)
    print(", ".join(f"{name} {len(sets[name]):,}" for name in SETS))


def split(raw: dict[str, datasets.Array], chosen: Params, names: dict[str, list[str]] | None = None) -> Sets:
    """The three sets; a source without a test set gives a share of its images as one."""
    held = {name: part(raw, name, names or {}) for name in SETS if f"{name}_images" in raw}
    train = held["train"]
    if "test" in held:
        test = held["test"]
    else:
        share = chosen.digits.test_share if chosen.dataset == "digits" else chosen.folder.test_share
        train, test = divide(train, share, chosen.seed)
    if "validation" in held:
        validation = held["validation"]
    elif chosen.split.validation_from == "train":
        train, validation = divide(train, chosen.split.validation_share, chosen.seed)
    else:
        test, validation = divide(test, chosen.split.validation_share, chosen.seed)
    return {"train": train, "validation": validation, "test": test}


def part(raw: dict[str, datasets.Array], name: str, names: dict[str, list[str]]) -> LabelledImages:
    of_files = np.array(names[name]) if name in names else None
    return LabelledImages(raw[f"{name}_images"], raw[f"{name}_labels"], raw.get(f"{name}_groups"), of_files)


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
    """What is left, and what is taken: a share or a number of images, with the classes in proportion.

    What belongs to one group is taken together, as near to the share as the groups allow.
    """
    try:
        if images.groups is not None and taken < 1:
            folds = StratifiedGroupKFold(max(2, round(1 / taken)), shuffle=True, random_state=seed)
            left, out = next(folds.split(images.labels, images.labels, images.groups))
            return images.only(left), images.only(out)
        left, out = train_test_split(np.arange(len(images)), test_size=taken, random_state=seed, stratify=images.labels)
    except ValueError as error:
        raise UserError(
            f"cannot take {taken} of {len(images)} images by class: {str(error).rstrip('.')}. "
            "Change the share, or the subset, in params.yaml"
        ) from None
    return images.only(np.sort(left)), images.only(np.sort(out))


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
        images = held.images if held.images.ndim == 4 else held.images[:, np.newaxis]
        arrays[f"{name}_images"] = datasets.resize(images, size)
        arrays[f"{name}_labels"] = held.labels
    names = {name: held.names.tolist() for name, held in sets.items() if held.names is not None}
    datasets.publish(paths.SPLIT, arrays, metadata | ({"names": names} if names else {}))


def report_duplicates(sets: Sets) -> None:
    """Of files, which can be named: an image that stands on both sides makes a score too good."""
    faults = [
        f"{one} ({set_one}) and {other} ({set_other}): {how}"
        for set_one, set_other in (("train", "validation"), ("train", "test"), ("validation", "test"))
        for one, other, how in duplicates.between(sets[set_one], sets[set_other])
    ]
    if faults:
        first = "\n  ".join(faults[:NAMED])
        more = f"\n  … and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
        print(f"{len(faults):,} images stand in two sets, whose scores are too good; remove one of each, "
              f"or put them in one group of labels.csv:\n  {first}{more}", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    command(main, __doc__)
