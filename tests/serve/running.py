"""A server in a thread of this process, and one in a process of its own."""

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from serve.http import server
from serve.http.access_log import AccessLog
from serve.http.app import App
from serve.http.connection import Connection
from serve.http.guard import Guard
from serve.inference.repository import Repository

ROOT = Path(__file__).parents[2]


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Client:
    """Short requests to one port, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, method: str, path: str, body: bytes | dict | None = None, **headers: str) -> Reply:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = orjson.dumps(body) if isinstance(body, dict) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data: bytes, *, finish: bool = True) -> bytes:
        """Everything the server says to these bytes until it closes the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            if finish:
                connection.settimeout(30)
            return b"".join(iter(lambda: connection.recv(65536), b""))


class Running(NamedTuple):
    client: Client
    app: App
    log: BytesIO
    loop: asyncio.AbstractEventLoop


@contextmanager
def running(*models: Path, guard: Guard | None = None, model_control: bool = False) -> Iterator[Running]:
    """A server in a thread: its limits can be patched, its insides looked at."""
    loop, log, found = asyncio.new_event_loop(), BytesIO(), threading.Event()
    state: dict[str, Any] = {}

    async def run() -> None:
        state["stop"] = asyncio.Event()
        repository = Repository(map(str, models))
        app = state["app"] = App(repository, guard or Guard(), AccessLog(log), model_control=model_control)
        app.note_changes(repository.refresh())
        app.endpoints.started = True
        listening = await loop.create_server(lambda: Connection(app), "127.0.0.1", 0)
        state["port"] = listening.sockets[0].getsockname()[1]
        ticking = loop.create_task(server._tick(app))
        found.set()
        await state["stop"].wait()
        ticking.cancel()
        listening.close()
        # Who was accepted just now becomes a connection first.
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=1)
        for connection in list(app.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        for connection in list(app.connections):  # asyncio does not abort what is closing and has bytes to send
            connection.transport.get_extra_info("socket")._sock.close()
        app.log.close()
        app.endpoints.close()
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert found.wait(20)
    try:
        yield Running(Client(state["port"]), state["app"], log, loop)
    finally:
        loop.call_soon_threadsafe(state["stop"].set)
        thread.join(20)
        loop.close()


class Process(NamedTuple):
    client: Client
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def process(directory: Path, *arguments: str, descriptor: int | None = None, **environment: str) -> Iterator[Process]:
    """`python -m serve` on a free port or a descriptor, ready to answer; killed at the end if it still runs."""
    log = directory / "serve.log"
    command = [sys.executable, "-m", "serve", "--port", "0", *arguments]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, **environment},
            pass_fds=[] if descriptor is None else [descriptor],
        ) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline().decode()
            announced = re.search(r"http://\S+:(\d+)", line)
            assert announced, line + log.read_text()
            yield Process(Client(int(announced[1])), child, log)
        finally:
            child.kill()
            child.wait(20)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not happen in time"
        time.sleep(0.01)


def infer_body(images: Any, **more: Any) -> dict[str, Any]:
    """An OIP request with the pixels as nested lists."""
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "UINT8", "data": images.tolist()}
    return {"inputs": [tensor], **more}
