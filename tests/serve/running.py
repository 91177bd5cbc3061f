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
from granian.server.embed import Server

from serve.http.access_log import AccessLog
from serve.http.app import App
from serve.http.guard import Guard
from serve.http.server import granian_options
from serve.http.settings import Settings

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
    loop, log = asyncio.new_event_loop(), BytesIO()
    settings = Settings(tuple(map(str, models)), guard or Guard(), model_control)
    app = App(settings, log=AccessLog(log))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server: list[Server] = []

    async def run() -> None:
        server.append(Server(app, "127.0.0.1", port, **granian_options()))
        await server[0].serve()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    wait_for(lambda: listens(port), 20)
    try:
        yield Running(Client(port), app, log, loop)
    finally:
        loop.call_soon_threadsafe(server[0].stop)
        thread.join(20)
        loop.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process(NamedTuple):
    client: Client
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def process(directory: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    """`python -m serve` on a free port, ready to answer; killed at the end if it still runs."""
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
        ) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline().decode()
            announced = re.search(r"https?://\S+:(\d+)", line)
            assert announced, line + log.read_text()
            yield Process(Client(int(announced[1])), child, log)
        finally:
            child.terminate()
            try:
                child.wait(20)
            finally:
                child.kill()


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not happen in time"
        time.sleep(0.01)


def infer_body(images: Any, **more: Any) -> dict[str, Any]:
    """An OIP request with the pixels as nested lists."""
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "UINT8", "data": images.tolist()}
    return {"inputs": [tensor], **more}
