from typing import Any

import numpy as np
import pytest

from stages import split
from stages.core.cli import params
from stages.core.cli.paths import RAW, SPLIT
from stages.core.data import datasets
from stages.core.data.datasets import SETS, Array, LabelledImages
from stages.core.data.settings import Augment
from stages.core.sources import catalogue as sources
from tests.workspace import CLASSES, Workspace, easy_images


def publish_raw(train: int = 200, test: int | None = 100, dataset: str = "mnist") -> None:
    images, labels = easy_images(train)
    arrays: dict[str, Array] = {"train_images": images, "train_labels": labels}
    if test:
        arrays["test_images"], arrays["test_labels"] = easy_images(test, seed=1)
    datasets.publish(RAW, arrays, {"dataset": dataset, "classes": list(CLASSES), "preparation": {}})


def sizes() -> dict[str, int]:
    return {name: len(datasets.load(name)) for name in SETS}


def hashes(images: Array) -> set[bytes]:
    return {image.tobytes() for image in images}


def done(workspace: Workspace, **changes: Any) -> dict[str, Any]:
    workspace.set(**changes)
    outcome = workspace.run("split")
    assert outcome.err == ""
    assert outcome.code == 0
    return datasets.metadata()


@pytest.fixture(scope="module")
def digits() -> dict[str, Array]:
    return sources.read("digits").arrays


def test_the_same_seed_gives_the_same_bytes_and_another_others(workspace: Workspace) -> None:
    publish_raw()
    outcomes = []
    for seed in (1, 1, 2):
        done(workspace, seed=seed)
        outcomes.append((SPLIT / "images.safetensors").read_bytes())
    assert outcomes[0] == outcomes[1] != outcomes[2]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, {"train": 180, "validation": 20, "test": 100}),
        ({"split__validation_share": 0.25}, {"train": 150, "validation": 50, "test": 100}),
        (
            {"split__validation_from": "test", "split__validation_share": 0.9},
            {"train": 200, "validation": 90, "test": 10},
        ),
    ],
)
def test_shares_are_right(workspace: Workspace, changes: dict[str, Any], wanted: dict[str, int]) -> None:
    publish_raw()
    metadata = done(workspace, **changes)
    assert sizes() == wanted
    assert {name: sum(counts) for name, counts in metadata["counts"].items()} == wanted
    assert metadata["validation_from"] == changes.get("split__validation_from", "train")


def test_classes_are_in_proportion(workspace: Workspace) -> None:
    publish_raw()
    metadata = done(workspace)
    assert metadata["counts"] == {"train": [18] * 10, "validation": [2] * 10, "test": [10] * 10}


@pytest.mark.parametrize("source", ["train", "test"])
def test_no_image_is_in_two_sets_and_none_is_lost(workspace: Workspace, source: str) -> None:
    publish_raw()
    done(workspace, split__validation_from=source)
    sets = {name: hashes(datasets.load(name).images) for name in SETS}
    assert sum(map(len, sets.values())) == len(set.union(*sets.values())) == 300


def test_images_stay_in_the_order_of_their_source(workspace: Workspace) -> None:
    """So that a number names the same kind of image in every split: Fashion-MNIST's shoes are images 23 to 28."""
    publish_raw()
    raw = datasets.arrays(RAW)
    done(workspace)
    for name, source in (("train", "train_images"), ("validation", "train_images"), ("test", "test_images")):
        place = {image.tobytes(): number for number, image in enumerate(raw[source])}
        found = [place[image.tobytes()] for image in datasets.load(name).images]
        assert found == sorted(found)


def test_labels_stay_with_their_images(workspace: Workspace) -> None:
    publish_raw()
    raw = datasets.arrays(RAW)
    known = {
        image.tobytes(): label
        for part in ("train", "test")
        for image, label in zip(raw[f"{part}_images"], raw[f"{part}_labels"], strict=True)
    }
    done(workspace)
    for name in SETS:
        held = datasets.load(name)
        assert all(known[i.tobytes()] == label for i, label in zip(held.images, held.labels, strict=True))


def test_a_source_without_a_test_set_gives_a_share_of_its_images(workspace: Workspace) -> None:
    publish_raw(test=None)
    done(workspace, digits__test_share=0.2)
    assert sizes() == {"train": 144, "validation": 16, "test": 40}


@pytest.mark.parametrize(("train", "validation", "test"), [(50, 10, 30), (None, 10, None), (100, None, 20)])
def test_subsets_have_the_size_asked_for_and_every_class(
    workspace: Workspace, train: int | None, validation: int | None, test: int | None
) -> None:
    publish_raw()
    metadata = done(workspace, split__subset={"train": train, "validation": validation, "test": test})
    assert sizes() == {"train": train or 180, "validation": validation or 20, "test": test or 100}
    for counts in metadata["counts"].values():
        assert min(counts) >= 1
        assert max(counts) - min(counts) <= 1


def test_a_subset_of_the_whole_set_is_the_whole_set(workspace: Workspace) -> None:
    publish_raw()
    done(workspace, split__subset={"train": 180, "validation": 20, "test": 100})
    whole = (SPLIT / "images.safetensors").read_bytes()
    done(workspace, split__subset={"train": None, "validation": None, "test": None})
    assert (SPLIT / "images.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"split__subset__train": 181}, "split.subset.train is 181 but the train set has 180 images: lower it"),
        ({"split__subset__test": 3}, "cannot take 3 of 100 images by class"),
        ({"split__subset__validation": 19}, "cannot take 19 of 20 images by class"),
        ({"split__validation_share": 0.01}, "cannot take 0.01 of 200 images by class"),
        ({"split__validation_share": 0.99}, "cannot take 0.99 of 200 images by class"),
    ],
)
def test_an_impossible_split_is_one_line(workspace: Workspace, changes: dict[str, Any], wanted: str) -> None:
    publish_raw()
    workspace.set(**changes)
    outcome = workspace.run("split")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert wanted in outcome.err
    assert "params.yaml" in outcome.err
    assert not SPLIT.exists()


@pytest.mark.parametrize("size", [20, 28, 32])
def test_images_have_the_size_asked_for(workspace: Workspace, size: int) -> None:
    publish_raw()
    assert done(workspace, split__image_size=size)["shape"] == [1, size, size]
    assert datasets.load("test").images.shape == (100, 1, size, size)


def test_copies_are_made_of_digits_alone(workspace: Workspace) -> None:
    publish_raw(dataset="mnist")
    done(workspace, digits__augmented_copies=3)
    assert sizes() == {"train": 180, "validation": 20, "test": 100}
    assert datasets.metadata()["copies"] == 0
    publish_raw(dataset="digits")
    done(workspace, digits__augmented_copies=3)
    assert sizes() == {"train": 720, "validation": 20, "test": 100}
    assert datasets.metadata()["copies"] == 3


def test_without_copies_the_training_images_are_the_sources_own(workspace: Workspace) -> None:
    publish_raw(dataset="digits")
    done(workspace, digits__augmented_copies=0)
    assert sizes()["train"] == 180
    assert hashes(datasets.load("train").images) <= hashes(datasets.arrays(RAW)["train_images"])


def test_the_copies_can_be_left_out(workspace: Workspace) -> None:
    publish_raw(dataset="digits")
    done(workspace, digits__augmented_copies=3)
    everything, own = datasets.load("train"), datasets.load("train", copies=False)
    assert (len(everything), len(own)) == (720, 180)
    held = dict(
        zip(map(bytes, datasets.arrays(RAW)["train_images"]), datasets.arrays(RAW)["train_labels"], strict=True)
    )
    assert [held[image.tobytes()] for image in own.images] == own.labels.tolist()


def test_leaving_copies_out_where_there_are_none_changes_nothing(workspace: Workspace) -> None:
    publish_raw(dataset="mnist")
    done(workspace)
    for name in SETS:
        assert np.array_equal(datasets.load(name, copies=False).images, datasets.load(name).images)


def test_digits_are_disjoint_before_and_after_copying(workspace: Workspace, digits: dict[str, Array]) -> None:
    """No test or validation image is a training image, nor a copy of one: copies come of training images only."""
    chosen = params.load()
    sets = split.split(digits, chosen)
    own = {name: hashes(held.images) for name, held in sets.items()}
    assert sum(map(len, own.values())) == len(set.union(*own.values())) == 1797
    copied, _ = split.with_copies(sets["train"], 1, chosen.digits.augment, chosen.seed)
    assert not hashes(copied.images) & (own["test"] | own["validation"])


def test_validation_is_made_of_unchanged_images_and_their_copies_are_a_set_of_their_own(workspace: Workspace) -> None:
    publish_raw(dataset="digits")
    done(workspace, digits__augmented_copies=0)
    own, trained = hashes(datasets.load("validation").images), hashes(datasets.load("train").images)
    assert "robustness" not in datasets.names()
    done(workspace, digits__augmented_copies=2)
    assert hashes(datasets.load("validation").images) == own
    copies = datasets.load("robustness")
    assert len(copies) == 2 * len(own)
    assert not hashes(copies.images) & (own | trained)


def test_copies_come_with_the_label_of_their_image() -> None:
    images, labels = easy_images(20)
    flat = images.copy()
    flat[:] = (labels * 20 + 20)[:, np.newaxis, np.newaxis]  # an image that no rotation or shift can hide
    copied, _ = split.with_copies(LabelledImages(flat, labels), 4, params.load().digits.augment, seed=1)
    assert len(copied) == 100
    assert np.array_equal(copied.images[:, 14, 14], copied.labels * 20 + 20)


def test_copies_are_seeded() -> None:
    labelled = LabelledImages(*easy_images(20))
    first, again, other = (split.with_copies(labelled, 2, Augment(rotation=9), seed)[0].images for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
