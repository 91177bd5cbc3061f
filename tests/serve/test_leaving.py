"""Clients that leave, at each stage of a request: nobody else notices, and nothing stays behind."""

import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.serve.networks import NETWORKS
from tests.serve.running import Running, infer_body, running, wait_for

Make = Callable[..., np.ndarray]
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what was not taken is thrown away, and the other side told so


def request(images: np.ndarray, network: str, connection: str) -> bytes:
    body = orjson.dumps(infer_body(images))
    head = f"POST /v2/models/{network}/infer HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


STAGES: dict[str, Callable[[bytes], tuple[bytes, int]]] = {
    "at once": lambda data: (b"", 0),
    "in the head": lambda data: (data[:40], 0),
    "before the body": lambda data: (data[: data.index(b"\r\n\r\n") + 4], 0),
    "in the body": lambda data: (data[:-100], 0),
    "with the whole request": lambda data: (data, 0),
    "in the answer": lambda data: (data, 20),
}
"""What is sent, and how many bytes of the answer are taken."""


def leave(server: Running, data: bytes, taken: int, reset: bool) -> None:
    with server.client.connect() as connection:
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(data)
        if taken:
            connection.recv(taken)


@pytest.mark.parametrize("clients", [1, 100])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_network_answers_after_clients_have_left(
    server: Running, images: Make, stage: str, connection: str, reset: bool, clients: int
) -> None:
    asked = [STAGES[stage](request(images(), name, connection)) for name in NETWORKS]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(leave, server, *asked[number % len(asked)], reset) for number in range(clients * 4)]
        for job in jobs:
            job.result()
    for name in NETWORKS:
        size = server.app.endpoints.repository.get(name).input_shape[-1]
        reply = server.client("POST", f"/v2/models/{name}/infer", infer_body(images(size=size)))
        assert reply.status == 200, reply.body
    wait_for(lambda: gauges(server) == {"images_waiting": 0, "jobs": 0, "body_bytes": 0})


def gauges(server: Running) -> dict[str, float]:
    lines = server.client("GET", "/metrics").body.decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("cifra_") and "{" not in line)
    return {name: float(found[f"cifra_{name}"]) for name in ("images_waiting", "jobs", "body_bytes")}


def test_a_client_that_left_is_not_answered_but_written_down(models_dir: Path, images: Make) -> None:
    with running(models_dir / "lenet_28.onnx") as server:
        model = server.app.repository.get("lenet_28")
        predict = model.predict
        object.__setattr__(model, "seconds", 1.0)
        object.__setattr__(model, "predict", lambda images: (time.sleep(0.5), predict(images))[1])
        leave(server, request(images(), "lenet_28", "close"), 0, reset=True)
        wait_for(lambda: b'"status":499' in server.log.getvalue())
        wait_for(lambda: not server.app.open)
