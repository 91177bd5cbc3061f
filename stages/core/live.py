"""The curves of a training in the MLflow UI while it runs, which never delays or fails the training itself."""

import queue
import sys
import threading
from types import TracebackType
from typing import Any, Self

from stages.core import store
from stages.core.history import Epoch
from stages.core.training import Trainer

AFTER_S = 30  # a shorter training is over before MLflow would be imported, and `track` records it
FLUSH_S = 10


class LiveRun:
    """A thread takes the epochs from a queue to MLflow. What it cannot deliver, `track` completes from the files."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.epochs: queue.SimpleQueue[Epoch | None] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._deliver, daemon=True, name="mlflow")
        self.thread.start()

    def epoch(self, trainer: Trainer) -> None:
        self.epochs.put(trainer.history.epochs[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait a moment for what is on its way. A training that failed leaves its run to be marked as KILLED."""
        self.ended.set()
        if kind is None:
            self.epochs.put(None)
            self.thread.join(FLUSH_S)

    def _deliver(self) -> None:
        if self.ended.wait(AFTER_S):
            return
        try:
            client = store.connect()
            store.reap(client, store.experiment(client, self.record["dataset"]))
            run = store.open_run(client, self.record)
            client.update_run(run, "RUNNING")
            while epoch := self.epochs.get():
                store.log_epoch(client, run, epoch.epoch, vars(epoch))
            client.set_terminated(run)
        except Exception as error:
            print(
                f"MLflow is not reached ({type(error).__name__}): training goes on, `dvc repro track` will record it",
                file=sys.stderr,
            )
