"""A training is shown live in MLflow, and never waits for it."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stages.core.tracking import live, store, times
from stages.core.tracking.live import LiveRun
from stages.core.tracking.times import Stopwatch
from stages.core.training.trainer import Epoch

RECORD = {"dataset": "digits", "network": "lenet_28", "fingerprint": "0" * 16}


class Recorder:
    """In the place of an MLflow client."""

    def __init__(self) -> None:
        self.logged: list[int] = []
        self.status = ""

    def set_terminated(self, run: str, status: str) -> None:
        self.status = status


def trainer_after(epoch: int) -> Any:
    return SimpleNamespace(history=SimpleNamespace(epochs=[Epoch(epoch, 0.5, 0.5, 0.5, 0.5)]))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    recorder = Recorder()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "AFTER_S", 0)
    monkeypatch.setattr(store, "connect", lambda: recorder)
    monkeypatch.setattr(store, "experiment", lambda client, dataset: "1")
    monkeypatch.setattr(store, "mark_killed", lambda client, experiment: None)
    monkeypatch.setattr(store, "open_run", lambda client, record, start: "run")
    monkeypatch.setattr(store, "resume_run", lambda client, run: setattr(client, "status", "RUNNING"))
    monkeypatch.setattr(store, "logged_epochs", lambda client, run: set(recorder.logged))
    monkeypatch.setattr(store, "log_epoch", lambda client, run, epoch, values: recorder.logged.append(epoch))
    return recorder


def wait_for(thread: threading.Thread) -> None:
    thread.join(5)
    assert not thread.is_alive()


def log(*epochs: int) -> None:
    """A training of these epochs, each after MLflow is reached."""
    with LiveRun(RECORD) as run:
        assert run.reached.wait(5)
        for epoch in epochs:
            run.epoch(trainer_after(epoch))


def test_every_epoch_arrives_before_the_training_ends(client: Recorder) -> None:
    log(1, 2, 3)
    assert client.logged == [1, 2, 3]
    assert client.status == "FINISHED"


def test_each_epoch_is_timed_once_over_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Stopwatch("0" * 16)
    first.epoch(1)
    first.epoch(2)
    again = Stopwatch("0" * 16)
    again.epoch(3)
    found = times.read("0" * 16, 3)
    assert found is not None
    assert found.start == first.times.start
    assert found.end >= first.times.end
    assert times.read("0" * 16, 2) is None  # of another number of epochs
    times.path("0" * 16).write_text("{")
    assert times.read("0" * 16, 3) is None


def test_a_place_that_cannot_be_written_fails_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".checkpoints").write_text("a file in the place of the folder")
    Stopwatch("0" * 16).epoch(1)


def test_an_epoch_that_is_trained_again_is_not_logged_again(client: Recorder) -> None:
    log(1, 2)
    log(2, 3)
    assert client.logged == [1, 2, 3]


def test_a_short_training_does_not_touch_mlflow(client: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AFTER_S", 60)
    with LiveRun(RECORD) as run:
        run.epoch(trainer_after(1))
    wait_for(run.thread)
    assert client.logged == []


def test_an_mlflow_that_is_down_costs_one_line_and_no_failure(
    client: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(store, "connect", refuse)
    with LiveRun(RECORD) as run:
        wait_for(run.thread)
        run.epoch(trainer_after(1))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "dvc repro track" in said


@pytest.mark.parametrize("where", ["connect", "logged_epochs"])
def test_a_store_that_hangs_is_left_behind(client: Recorder, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Before it was reached at once, and afterwards in a moment."""
    hanging = threading.Event()
    monkeypatch.setattr(live, "FLUSH_S", 0.1)
    monkeypatch.setattr(store, where, lambda *_: hanging.wait(10) and client)
    begin = time.monotonic()
    with LiveRun(RECORD) as run:
        run.epoch(trainer_after(1))
    assert time.monotonic() - begin < 5
    assert client.logged == []
    hanging.set()
    run.thread.join()


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_how_a_training_ended_is_told(client: Recorder, error: type[BaseException], status: str) -> None:
    run = LiveRun(RECORD)
    run.epoch(trainer_after(1))
    while not client.logged:
        assert run.thread.is_alive()
    with pytest.raises(error), run:
        raise error
    wait_for(run.thread)
    assert (client.logged, client.status) == ([1], status)
