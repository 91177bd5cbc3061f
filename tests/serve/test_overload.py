"""Too much to do: what is accepted is answered in bounded time, the rest is refused at once."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from serve.inference import limits
from serve.inference.model import Answer, Model
from tests.serve.running import Running, infer_body, running, wait_for

INFER = "/v2/models/lenet_28/infer"
SECONDS_PER_IMAGE = 0.005
Make = Callable[..., np.ndarray]


class Slow:
    """Makes a model take its time, and counts the images it ran."""

    def __init__(self, model: Model, seconds: float) -> None:
        self.images = 0
        self.seconds = seconds
        self._predict = model.predict
        object.__setattr__(model, "predict", self.predict)
        object.__setattr__(model, "seconds", 1.0)

    def predict(self, images: np.ndarray) -> Answer:
        self.images += len(images)
        time.sleep(self.seconds * len(images))
        return self._predict(images)


@pytest.fixture
def overloaded(models_dir: Path) -> Iterator[tuple[Running, Slow]]:
    with running(models_dir) as found:
        model = found.app.endpoints.repository.get("lenet_28")
        yield found, Slow(model, SECONDS_PER_IMAGE)


def _request(images: np.ndarray, **more: Any) -> bytes:
    body = orjson.dumps(infer_body(images, **more))
    return f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_health_is_answered_while_a_network_is_busy(overloaded: tuple[Running, Slow], images: Make) -> None:
    server, slow = overloaded
    slow.seconds = 0.5
    with server.client.connect() as connection:
        connection.sendall(_request(images()))
        wait_for(lambda: slow.images == 1)
        started = time.perf_counter()
        assert server.client("GET", "/v2/health/ready").status == 200
        assert server.client("POST", "/v2/models/mlp/infer", infer_body(images())).status == 200
        assert time.perf_counter() - started < 0.4
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_who_has_gone_is_not_waited_on(overloaded: tuple[Running, Slow], images: Make) -> None:
    server, slow = overloaded
    slow.seconds = 0.3
    connections = [server.client.connect() for _ in range(4)]
    for number, connection in enumerate(connections):
        connection.sendall(_request(images()))
        wait_for(lambda number=number: slow.images == 1 and server.app.endpoints.waiting == number)
    for connection in connections[1:3]:
        connection.close()
    assert connections[3].recv(65536).startswith(b"HTTP/1.1 200")
    assert slow.images == 2
    for connection in connections:
        connection.close()


def test_a_client_may_wait_less(overloaded: tuple[Running, Slow], images: Make) -> None:
    server, slow = overloaded
    slow.seconds = 0.3
    with server.client.connect() as first:
        first.sendall(_request(images()))
        wait_for(lambda: slow.images == 1)
        reply = server.client("POST", INFER, infer_body(images(), parameters={"timeout": 50_000}))
        assert reply.status == 504
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
    assert slow.images == 1


def test_a_run_that_hangs_is_504(
    overloaded: tuple[Running, Slow], images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, slow = overloaded
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 0.2)
    slow.seconds = 1.0
    started = time.perf_counter()
    assert server.client("POST", INFER, infer_body(images())).status == 504
    assert time.perf_counter() - started < 0.8


def test_a_full_queue_refuses_before_the_body(
    overloaded: tuple[Running, Slow], images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, slow = overloaded
    monkeypatch.setattr(limits, "QUEUE_IMAGES", 2)
    slow.seconds = 0.3
    connections = [server.client.connect() for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.sendall(_request(images()))
        wait_for(lambda number=number: slow.images == 1 and server.app.endpoints.waiting == number)
    head = _request(images()).split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    answer = server.client.raw(head)
    assert answer.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 1" in answer
    for connection in connections:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.close()


@pytest.mark.slow
def test_ten_times_too_much(overloaded: tuple[Running, Slow], images: Make) -> None:
    server, _ = overloaded
    capacity = 1 / SECONDS_PER_IMAGE
    clients, seconds = 900, 4.0
    answers = asyncio.run(_load(server.client.port, _request(images()), clients, seconds, clients / (10 * capacity)))
    accepted = [wait for status, wait in answers if status == 200]
    refused = [wait for status, wait in answers if status == 429]
    assert len(accepted) + len(refused) == len(answers)
    assert len(answers) > 5 * capacity * seconds
    assert len(accepted) > 0.6 * capacity * seconds
    assert np.percentile(accepted, 99) < 1.5 * (limits.QUEUE_IMAGES + limits.BATCH_IMAGES) * SECONDS_PER_IMAGE
    assert np.median(refused) < 0.1


async def _load(port: int, request: bytes, clients: int, seconds: float, period: float) -> list[tuple[int, float]]:
    """Each client asks once per period, if its last question is answered: statuses and waits in seconds."""
    answers: list[tuple[int, float]] = []

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        end = time.perf_counter() + seconds
        await asyncio.sleep(period * number / clients)
        while (started := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            wait = time.perf_counter() - started
            answers.append((int(head.split(b" ", 2)[1]), wait))
            await asyncio.sleep(max(0.0, period - wait))
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return answers
