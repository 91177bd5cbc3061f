"""A work-conserving batcher: it never waits; it runs together what queued while the session was busy.

Short runs happen in the event loop, between two looks at the sockets: what arrived with one look is one
batch. Runs expected to be long happen in a thread, and what arrives meanwhile is the next batch.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

import numpy as np

from serve.http.messages import Problem, Request, busy
from serve.inference import limits
from serve.inference.model import Answer, Images, Model

Done = Callable[[Answer | Exception], None]


@dataclass(slots=True)
class Work:
    request: Request
    model: Model
    images: Images
    done: Done
    queued: float
    deadline: float
    alone: bool = False
    """In a run of its own, after one with others that failed."""


@dataclass
class Statistics:
    """Of one model since the server started; durations in nanoseconds."""

    answered: int = 0
    images: int = 0
    runs: int = 0
    failed: int = 0
    queue_ns: int = 0
    run_ns: int = 0
    last: float = 0.0
    """When it last answered, in seconds since 1970."""
    batches: Counter[int] = field(default_factory=Counter)
    """Number of runs by number of images."""


class Batcher:
    """The queue of one served name. All methods belong to the event loop's thread."""

    def __init__(self, executor: Executor) -> None:
        self.statistics = Statistics()
        self.waiting = 0
        """Images in the queue."""
        self._executor = executor
        self._queue: deque[Work] = deque()
        self._scheduled = False
        self._loop = asyncio.get_running_loop()

    def check_room(self) -> None:
        if self.waiting >= limits.QUEUE_IMAGES:
            raise busy(f"{self.waiting} images are waiting already")

    def submit(self, work: Work) -> None:
        """Queue it; `done` gets its answer or a Problem. Raises Problem where the queue is full."""
        self.check_room()
        self._queue.append(work)
        self.waiting += len(work.images)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_next)

    def _run_next(self) -> None:
        now = time.perf_counter()
        batch = self._take(now)
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

    def _take(self, now: float) -> list[Work]:
        """The oldest work and what follows for the same file, without what came too late."""
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
            if work.request.gone:
                continue
            if now > work.deadline:
                work.done(Problem(504, "waited too long for its turn"))
                continue
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
        self._count(batch, started, result)
        self._scheduled = False
        if self._queue:
            self._schedule()  # first of all: whatever an answer meets on its way out, the queue goes on
        _hand_out(batch, result)

    def _count(self, batch: list[Work], started: float, result: Answer | Exception) -> None:
        statistics, images = self.statistics, sum(len(work.images) for work in batch)
        statistics.run_ns += int((time.perf_counter() - started) * 1e9)
        statistics.queue_ns += int(sum(started - work.queued for work in batch) * 1e9)
        statistics.runs += 1
        statistics.batches[images] += 1
        statistics.last = time.time()
        if isinstance(result, Exception):
            statistics.failed += len(batch)
        else:
            statistics.answered += len(batch)
            statistics.images += images


def _together(batch: list[Work]) -> Images:
    return batch[0].images if len(batch) == 1 else np.concatenate([work.images for work in batch])


def _attempt(model: Model, images: Images) -> Answer | Exception:
    try:
        return model.predict(images)
    except Exception as error:
        return error


def _hand_out(batch: list[Work], result: Answer | Exception) -> None:
    """To each its part. One that cannot be given must not keep the others from theirs: it is told to the event loop."""
    start = 0
    for work in batch:
        end = start + len(work.images)
        part = result if isinstance(result, Exception) else Answer(*(values[start:end] for values in result))
        start = end
        try:
            work.done(part)
        except Exception as error:
            context = {"message": "an answer could not be given", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
