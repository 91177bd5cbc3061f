import gc
import signal
from pathlib import Path

import pytest

from tests.workspace import Workspace

# A shell that runs the tests in the background lets them ignore Ctrl-C, and they would hand that on to what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """A stage that ran in this process has frozen what was imported; some libraries would report it as leaked."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes the store that it is told into the environment, where what the next test starts would find it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # not delenv, which would not take back what MLflow sets
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workspace:
    """An empty repository with our params.yaml, set to the CPU; the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path, monkeypatch, capsys)
