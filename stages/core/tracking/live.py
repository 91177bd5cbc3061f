"""The curves of a training in the MLflow UI while it runs, which never delays or fails the training itself."""

import queue
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stages.core.tracking import store
from stages.core.tracking.times import Stopwatch
from stages.core.training.history import Epoch
from stages.core.training.trainer import Trainer

if TYPE_CHECKING:
    from mlflow import MlflowClient

AFTER_S = 30  # a shorter training is over before MLflow would be imported, and `track` records it
FLUSH_S = 2


class LiveRun:
    """A thread takes the epochs from a queue to MLflow. What it cannot deliver, `track` completes from the files."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.stopwatch = Stopwatch(record[store.FINGERPRINT])
        self.epochs: queue.SimpleQueue[Epoch | str] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.reached = threading.Event()
        self.thread = threading.Thread(target=self._deliver, daemon=True, name="mlflow")
        self.thread.start()

    def epoch(self, trainer: Trainer) -> None:
        self.stopwatch.epoch(trainer.history.epochs[-1].epoch)
        self.epochs.put(trainer.history.epochs[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait a moment for what is on its way, unless MLflow was not even reached."""
        self.ended.set()
        self.epochs.put("FINISHED" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")
        if self.reached.is_set():
            self.thread.join(FLUSH_S)

    def _deliver(self) -> None:
        if self.ended.wait(AFTER_S):
            return
        try:
            client = store.connect()
            store.mark_killed(client, store.experiment(client, self.record["dataset"]))
            run = store.open_run(client, self.record, self.stopwatch.times.start)
            store.resume_run(client, run)
            self.reached.set()
            client.set_terminated(run, self._log_epochs(client, run))
        except Exception as error:
            print(
                f"MLflow is not reached ({type(error).__name__}): training goes on, `dvc repro track` will record it",
                file=sys.stderr,
            )

    def _log_epochs(self, client: "MlflowClient", run: str) -> str:
        """The status in which the training ended. An earlier run of it may have logged some of its epochs."""
        logged = store.logged_epochs(client, run)
        while isinstance(item := self.epochs.get(), Epoch):
            if item.epoch not in logged:
                store.log_epoch(client, run, item.epoch, vars(item))
        return item
