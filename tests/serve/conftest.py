from pathlib import Path

import pytest

from tests.serve.networks import NETWORKS, save


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    for name in NETWORKS:
        save(directory, name)
    return directory
