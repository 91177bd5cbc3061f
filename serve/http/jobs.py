"""Threads for what takes long, with a bound on what waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from serve.http.messages import Response, busy


class Jobs:
    """All methods belong to the event loop's thread; only the work runs in another."""

    def __init__(self, name: str, threads: int, bound: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.count = 0
        """Of requests with or waiting for the threads."""
        self._name, self._bound = name, bound

    def check_room(self) -> None:
        """Raises Problem 429."""
        if self.count >= self._bound:
            raise busy(f"{self.count} {self._name} are waiting already")

    async def run(self, work: Callable[[], Response]) -> Response:
        """Raises Problem, and what the work raises. Cancelled in time, it is not begun."""
        self.check_room()
        self.count += 1
        loop, job = asyncio.get_running_loop(), self.executor.submit(work)
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        return await asyncio.wrap_future(job)

    def close(self) -> None:
        self.executor.shutdown(cancel_futures=True)

    def _ended(self) -> None:
        self.count -= 1
