"""The sections of params.yaml about images."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.cli.settings import Count, Section, Share

Dataset = Literal["digits", "mnist", "fashion_mnist", "kmnist", "qmnist", "emnist_digits", "cifar10", "idx", "folder"]


class Augment(Section):
    """How far a training image may be changed, to either side; 0 leaves it. All 0 is the image as it is."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees
    shear: Annotated[float, Field(ge=0, le=1)] = 0.0  # pixels to the side for each pixel up
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the width, and by another chance of the height
    shift: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels
    elastic: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels that each node of the sheet is pulled
    stroke: Annotated[float, Field(ge=0, le=1)] = 0.0  # pixels on each side of a stroke
    random_erasing: Annotated[float, Field(ge=0, le=512)] = 0.0  # pixels a side of a square
    horizontal_flip: bool = False  # left for right, every other image


class Digits(Section):
    test_share: Share
    augmented_copies: Annotated[int, Field(ge=0, le=100)]
    augment: Augment


class Folder(Section):
    path: Annotated[str, Field(min_length=1)]
    image_size: Annotated[int, Field(ge=8, le=512)] | None
    fit: Literal["crop", "pad", "stretch"]
    channels: Literal[1, 3] | None
    classes: Annotated[list[str], Field(min_length=2)] | None
    test_share: Share


class Subset(Section):
    train: Count | None
    validation: Count | None
    test: Count | None


class Split(Section):
    validation_from: Literal["train", "test"]
    validation_share: Share
    image_size: Annotated[int, Field(ge=8, le=512)] | None
    subset: Subset
