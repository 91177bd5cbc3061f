"""A work-conserving batcher: it never waits; it runs together what queued while the session was busy.

Short runs happen in the event loop, between two looks at the sockets: what arrived with one look is one
batch. Runs expected to be long happen in a thread, and what arrives meanwhile is the next batch.
"""

import asyncio
import time
from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from serve.http.messages import busy
from serve.inference import limits
from serve.inference.model import Answer, Images, Model


class Count(Protocol):
    """What is told of each run."""

    def __call__(
        self, requests: int, images: int, queue_seconds: float, run_seconds: float, *, failed: bool
    ) -> None: ...


@dataclass(slots=True)
class Work:
    model: Model
    images: Images
    answer: "asyncio.Future[Answer]"
    queued: float
    alone: bool = False
    """In a run of its own, after one with others that failed."""


class Batcher:
    """The queue of one served name. All methods belong to the event loop's thread."""

    def __init__(self, executor: Executor, count: Count) -> None:
        self.waiting = 0
        """Images in the queue."""
        self._executor = executor
        self._count = count
        self._queue: deque[Work] = deque()
        self._scheduled = False
        self._loop = asyncio.get_running_loop()

    def check_room(self) -> None:
        if self.waiting >= limits.QUEUE_IMAGES:
            raise busy(f"{self.waiting} images are waiting already")

    def submit(self, model: Model, images: Images) -> "asyncio.Future[Answer]":
        """Queue them; cancel the answer where nobody waits for it any more. Raises Problem where the queue is full."""
        self.check_room()
        work = Work(model, images, self._loop.create_future(), time.perf_counter())
        self._queue.append(work)
        self.waiting += len(images)
        self._schedule()
        return work.answer

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_next)

    def _run_next(self) -> None:
        now = time.perf_counter()
        batch = self._take()
        if not batch:
            self._scheduled = False
            return
        model, images = batch[0].model, _together(batch)
        if model.seconds * len(images) <= limits.INLINE_SECONDS:
            self._finish(batch, now, _attempt(model, images))
        else:
            future = self._executor.submit(_attempt, model, images)
            future.add_done_callback(lambda ran: self._call_back(batch, now, ran))

    def _call_back(self, batch: list[Work], started: float, ran: "Future[Answer | Exception]") -> None:
        self._loop.call_soon_threadsafe(lambda: self._finish(batch, started, ran.result()))

    def _take(self) -> list[Work]:
        """The oldest work and what follows for the same file, without what nobody waits for."""
        batch: list[Work] = []
        size = 0
        while self._queue and size < limits.BATCH_IMAGES:
            work = self._queue[0]
            count = len(work.images)
            is_other = batch and (work.model is not batch[0].model or work.alone or batch[0].alone)
            if is_other or (batch and size + count > limits.BATCH_IMAGES):
                break
            self._queue.popleft()
            self.waiting -= count
            if not work.answer.done():
                batch.append(work)
                size += count
        return batch

    def _finish(self, batch: list[Work], started: float, result: Answer | Exception) -> None:
        if isinstance(result, Exception) and len(batch) > 1:  # one bad image must not spoil its neighbours
            self._queue.extendleft(replace(work, alone=True) for work in reversed(batch))
            self.waiting += sum(len(work.images) for work in batch)
            self._scheduled = False
            self._schedule()
            return
        self._scheduled = False
        if self._queue:
            self._schedule()
        _hand_out(batch, result)
        self._count(
            requests=len(batch),
            images=sum(len(work.images) for work in batch),
            queue_seconds=sum(started - work.queued for work in batch),
            run_seconds=time.perf_counter() - started,
            failed=isinstance(result, Exception),
        )


def _together(batch: list[Work]) -> Images:
    return batch[0].images if len(batch) == 1 else np.concatenate([work.images for work in batch])


def _attempt(model: Model, images: Images) -> Answer | Exception:
    try:
        return model.predict(images)
    except Exception as error:
        return error


def _hand_out(batch: list[Work], result: Answer | Exception) -> None:
    """To each its part, where somebody still waits for it."""
    start = 0
    for work in batch:
        end = start + len(work.images)
        if work.answer.done():
            pass
        elif isinstance(result, Exception):
            work.answer.set_exception(result)
        else:
            work.answer.set_result(Answer(*(values[start:end] for values in result)))
        start = end
