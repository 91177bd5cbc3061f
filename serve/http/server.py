"""The application under Granian: worker processes, their signals, draining."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing.synchronize import Event, Lock, Semaphore
from tempfile import TemporaryDirectory
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from serve.http.settings import SHARED, Listening, Settings
from serve.inference import limits


def serve(settings: Settings, listening: Listening) -> None:
    """Until SIGTERM or SIGINT. Raises SystemExit where the workers end by themselves."""
    leaving, voice = multiprocessing.Event(), multiprocessing.Lock()
    others = multiprocessing.Semaphore(listening.workers - 1)
    worker = partial(_worker, settings, listening, leaving, voice, others)
    with ExitStack() as stack:
        if listening.workers > 1:  # said before a worker imports prometheus_client
            os.environ[SHARED] = stack.enter_context(TemporaryDirectory(prefix="cifra-", ignore_cleanup_errors=True))
        _Server(listening, leaving).serve(target_loader=worker, wrap_loader=False)


class _Server(Granian):  # type: ignore[valid-type,misc]
    """Granian's process above the workers."""

    def __init__(self, listening: Listening, leaving: Event) -> None:
        super().__init__(
            "cifra",
            listening.host,
            listening.port,
            workers=listening.workers,
            ssl_cert=listening.certificate,
            ssl_key=listening.key,
            respawn_failed_workers=True,
            workers_kill_timeout=int(limits.GRACE_SECONDS),
            **granian_options(tls=listening.certificate is not None),
        )
        self._leaving, self._drain_seconds = leaving, listening.drain_seconds
        self._forced = threading.Event()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """A second signal ends it at once."""
        if self.interrupt_signal:
            self._forced.set()
            for worker in self.wrks:
                worker.kill()
        super().signal_handler_interrupt(*args, **kwargs)

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Workers load the models again; new workers would fall over a bad file where the old ones go on."""
        for worker in self.wrks:
            os.kill(worker.inner.pid, signal.SIGHUP)

    def _stop_workers(self) -> None:
        self._leaving.set()
        self._forced.wait(self._drain_seconds)
        super()._stop_workers()


def granian_options(*, tls: bool = False) -> dict[str, Any]:
    """The bounds that Granian holds."""
    http1 = HTTP1Settings(header_read_timeout=int(limits.HEAD_SECONDS * 1000), max_buffer_size=limits.HEAD_BYTES)
    return {
        "interface": Interfaces.ASGI,
        # Telling the versions apart by a connection's first bytes would wait for them without end.
        "http": HTTPModes.auto if tls else HTTPModes.http1,
        "http1_settings": http1,
        "websockets": False,
        "backlog": limits.CONNECTIONS,
        "backpressure": limits.CONNECTIONS,
        "log_enabled": False,
    }


def _worker(
    settings: Settings, listening: Listening, leaving: Event, voice: Lock, others: Semaphore
) -> Callable[..., Any]:
    """In a worker: the application. The last of the workers to listen says so, the first that cannot says why."""
    import asyncio  # here, so that the process above the workers stays small

    from serve.http.app import App
    from serve.inference.model import ModelError

    class Worker(App):
        async def start(self) -> None:
            try:
                await super().start()
            except ModelError as error:
                if voice.acquire(block=False):
                    print(f"serve: {error}", file=sys.stderr, flush=True)
                raise
            if hasattr(signal, "SIGHUP"):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
            self._tasks += [asyncio.create_task(self._announce()), asyncio.create_task(self._follow(os.getppid()))]

        async def _announce(self) -> None:
            """Granian listens only after the start."""
            while True:
                try:
                    _, writer = await asyncio.open_connection(listening.host, listening.port)
                    break
                except OSError:
                    await asyncio.sleep(0.01)
            writer.close()
            if not others.acquire(block=False) and voice.acquire(block=False):
                names = ", ".join(self.repository.entries)
                print(f"serving {names} on {listening.url} (page /, documentation /docs)", flush=True)

        async def _follow(self, parent: int) -> None:
            """A worker whose parent was killed would hold the port for ever."""
            while os.getppid() == parent:
                await asyncio.sleep(limits.RELOAD_SECONDS)
            os.kill(os.getpid(), signal.SIGTERM)

    return Worker(settings, leaving=leaving.is_set)
