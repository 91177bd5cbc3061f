from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.serve.networks import NETWORKS, save
from tests.serve.running import Client, Running, running


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    for name in NETWORKS:
        save(directory, name)
    return directory


@pytest.fixture(scope="session")
def server(models_dir: Path) -> Iterator[Running]:
    """One server for all tests that only ask."""
    with running(models_dir) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Client:
    return server.client


@pytest.fixture
def images() -> Callable[..., NDArray[np.uint8]]:
    def make(count: int = 1, size: int = 28, seed: int = 0) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (count, 1, size, size), dtype=np.uint8)

    return make
