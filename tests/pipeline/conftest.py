from pathlib import Path

import pytest

from bench.clone import Clone

NETWORKS = ("mlp_64_128", "lenet_32")


class Repository(Clone):
    def __init__(self, path: Path) -> None:
        super().__init__(path, NETWORKS, {"epochs": 2})


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """After its first `dvc repro`, at a path with a space and an accent."""
    made = Repository(tmp_path_factory.mktemp("cifra año 1"))
    made.run("dvc", "repro")
    made.commit()
    return made
