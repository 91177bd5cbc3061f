"""A server's life: open, load, answer, reload, drain, exit 0."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from serve.http.access_log import AccessLog
from serve.http.app import App
from serve.http.connection import Connection
from serve.http.guard import Guard
from serve.inference import limits
from serve.inference.repository import Repository

BACKLOG = 1_024


@dataclass(frozen=True)
class Settings:
    models: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    guard: Guard = field(default_factory=Guard)
    model_control: bool = False
    threads: int = 1
    """Of ONNX Runtime, for one run."""
    drain_seconds: float = 0.0
    """How long to go on answering, no longer ready, before the socket closes."""
    log_requests: bool = True


class NoModel(Exception):
    """There is nothing to serve; one line says why."""


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError, for a port in use among others."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def adopt(descriptor: int) -> socket.socket:
    """A socket that whoever started this process opened and listens on. Raises OSError, ValueError."""
    listener = socket.socket(fileno=descriptor)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not _is_listening(listener):
        listener.detach()
        raise ValueError(f"--fd {descriptor} is no TCP socket that listens")
    listener.setblocking(False)
    return listener


def _is_listening(listener: socket.socket) -> bool:
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


async def serve(settings: Settings, listener: socket.socket, announce: Callable[[list[str]], None]) -> None:
    """Until SIGTERM or SIGINT. Raises NoModel, ModelError."""
    loop = asyncio.get_running_loop()
    repository = Repository(settings.models, threads=settings.threads)
    log = AccessLog(requests=settings.log_requests)
    app = App(repository, settings.guard, log, model_control=settings.model_control)
    stopping, forced = asyncio.Event(), asyncio.Event()
    for name in ("SIGTERM", "SIGINT"):
        _on_signal(name, lambda: (forced if stopping.is_set() else stopping).set())
    server = await loop.create_server(lambda: Connection(app), sock=listener)
    tasks = [loop.create_task(_tick(app))]
    try:
        await _load(app, settings)
        announce(list(repository.entries))
        tasks.append(loop.create_task(_watch(app)))
        await stopping.wait()
        await _drain(app, server, settings.drain_seconds, forced)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        app.endpoints.close()
        log.close()


async def _load(app: App, settings: Settings) -> None:
    repository = app.endpoints.repository
    changes = await asyncio.to_thread(repository.refresh)
    if not repository.ready:
        raise NoModel(_why(settings, repository))
    app.note_changes(changes)
    app.endpoints.started = True


def _on_signal(name: str, act: Callable[[], None]) -> None:
    """Where the system has such a signal; Windows has fewer, and no way for asyncio to wait for them."""
    number = getattr(signal, name, None)
    loop = asyncio.get_running_loop()
    if number is not None:
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(act))


async def _tick(app: App) -> None:
    """Look at every bound in time, and hand the log over."""
    while True:
        app.date = formatdate(usegmt=True)
        now = time.perf_counter()
        for connection in list(app.connections):
            try:
                connection.tick(now)
            except Exception as error:  # of one connection, of which the others must not suffer
                connection.transport.abort()
                app.log.event("a connection failed", reason=str(error)[:300])
        app.log.flush()
        await asyncio.sleep(limits.TICK_SECONDS)


async def _watch(app: App) -> None:
    """Pick up new exports: by looking now and then, and all of them again at SIGHUP."""
    asked = asyncio.Event()
    _on_signal("SIGHUP", asked.set)
    while True:
        force = False
        try:
            await asyncio.wait_for(asked.wait(), limits.RELOAD_SECONDS)
            force = True
            asked.clear()
        except TimeoutError:
            pass
        await _refresh(app, force)


async def _refresh(app: App, force: bool) -> None:
    try:
        app.note_changes(await asyncio.to_thread(app.endpoints.repository.refresh, force=force))
    except Exception as error:  # a full disk or a registry that is away must not end the watch
        app.log.event("the models could not be looked at", reason=str(error)[:300])


async def _drain(app: App, server: Any, seconds: float, forced: asyncio.Event) -> None:
    """No longer ready, then no longer open, then everything accepted answered."""
    app.endpoints.leaving = True
    app.log.event("stopping")
    await _first(forced.wait(), asyncio.sleep(seconds))
    server.close()
    app.draining = True
    for connection in app.connections:
        connection.drain()
    end = time.perf_counter() + limits.GRACE_SECONDS
    while app.connections and not forced.is_set() and time.perf_counter() < end:
        await asyncio.sleep(limits.TICK_SECONDS / 4)
    for connection in list(app.connections):
        connection.transport.abort()


async def _first(*waits: Any) -> None:
    _, pending = await asyncio.wait([asyncio.ensure_future(wait) for wait in waits], return_when="FIRST_COMPLETED")
    for task in pending:
        task.cancel()


def _why(settings: Settings, repository: Repository) -> str:
    reasons = "; ".join(entry.reason for entry in repository.entries.values())
    return reasons or f"no ONNX file in {', '.join(settings.models)}; `make` trains and exports some"
