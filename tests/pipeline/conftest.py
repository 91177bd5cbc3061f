from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.clone import Clone
from bench.soak import Unbroken

NETWORKS = ("mlp_64_128", "lenet_32", "best_cnn")  # the last with normalisation, averaging and augmentation


class Repository(Clone):
    def __init__(self, path: Path) -> None:
        super().__init__(path, NETWORKS, {"epochs": 2, "batch_size": 64})
        self.edit("params.yaml", lambda params: params["models"]["best_cnn"].update(filters=[4, 4, 8]))
        self.commit()


@pytest.fixture(scope="session")
def _first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Unbroken]:
    made = Repository(tmp_path_factory.mktemp("cifra 1"))
    unbroken = Unbroken.run(made)
    made.commit()
    return made, unbroken


@pytest.fixture(scope="session")
def repository(_first: tuple[Repository, Unbroken]) -> Repository:
    """After its first `dvc repro`, at a path with a space."""
    return _first[0]


@pytest.fixture(scope="session")
def unbroken(_first: tuple[Repository, Unbroken]) -> Unbroken:
    """How that first `dvc repro` went."""
    return _first[1]


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Repository]:
    """As it was before, at other paths, which have accents too."""
    return (Repository(tmp_path / "otro año" / str(number)) for number in range(100))
