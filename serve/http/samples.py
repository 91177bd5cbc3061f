"""The test images that the pipeline leaves beside its models.

`samples.npy` holds uint8 [N, C, H, W]; `samples.json` says what they are:

    {"dataset": "digits", "classes": ["0", …], "labels": [7, …],
     "networks": {"lenet_28": {"sha256": "…", "bytes": 249934, "accuracy": 0.98, "predicted": [7, …]}}}
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from serve.inference.model import Images

IMAGES, FACTS = "samples.npy", "samples.json"


class SamplesError(ValueError):
    """Why there are no test images, in one line."""


@dataclass(frozen=True, eq=False)
class Samples:
    images: Images
    facts: bytes
    """samples.json as it is."""

    def at(self, indices: list[int], size: int) -> Images:
        """[n, C, size, size]. Raises SamplesError for a number that no image has."""
        if not all(0 <= index < len(self.images) for index in indices):
            raise SamplesError(f"the test images have the numbers 0 to {len(self.images) - 1}")
        return resized(np.asarray(self.images[indices]), size)


def find(directories: Iterable[Path]) -> Samples:
    """Those of the first directory that has any. Raises SamplesError."""
    for directory in directories:
        files = directory / IMAGES, directory / FACTS
        if all(file.is_file() for file in files):
            return _load(directory, *(file.stat().st_mtime_ns for file in files))
    raise SamplesError("there are no test images beside the models; run `make` to have some")


@lru_cache(maxsize=2)
def _load(directory: Path, *times: int) -> Samples:
    try:
        images = np.load(directory / IMAGES, mmap_mode="r", allow_pickle=False)
        facts = (directory / FACTS).read_bytes()
        labels = orjson.loads(facts)["labels"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SamplesError(f"the test images beside the models cannot be read: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(labels):
        raise SamplesError(f"{IMAGES} and {FACTS} do not fit together; run `make` to have both anew")
    return Samples(images, facts)


def resized(images: Images, size: int) -> Images:
    """Bilinear, as the split does it for networks that take larger images."""
    if images.shape[-1] == size:
        return images
    flat = images.reshape(-1, *images.shape[-2:])
    large = [np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR)) for one in flat]
    return np.stack(large).reshape(*images.shape[:2], size, size)
