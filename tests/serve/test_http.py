import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from serve.inference import limits
from tests.serve.running import Client, Running, infer_body, running, wait_for

INFER = "/v2/models/lenet_28/infer"
Make = Callable[..., np.ndarray]


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
            400,
        ),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\nContent-Length: 5\r\n\r\n", 417),
        (b"GET /" + b"a" * limits.TARGET_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * limits.HEAD_BYTES, 431),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(70)) + b"\r\n", 431),
    ],
    ids=[
        "nonsense", "version", "no host", "two hosts", "negative length", "two lengths", "length and chunks",
        "gzip transfer", "bad chunk", "expectation", "long path", "long header", "many headers",
    ],
)  # fmt: skip
def test_bad_http_is_answered_and_closed(data: bytes, status: int, client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(data)
        answer = connection.recv(65536)
    assert _status(answer) == status
    assert b'{"error":' in answer


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limits.TENSOR_BYTES + 1}\r\n\r\n"
    answer = client.raw(head.encode())
    assert _status(answer) == 413
    assert b"connection: close" in answer


def test_a_body_of_the_largest_size_is_read(client: Client) -> None:
    assert client("POST", INFER, b" " * limits.TENSOR_BYTES).status == 400  # no JSON, but read


def test_chunks_are_counted(client: Client) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with client.connect() as connection:
        connection.sendall(head)
        answer = _pour(connection, chunk, 1 + limits.TENSOR_BYTES // 0x10000)
    assert _status(answer) == 413


def _pour(connection: socket.socket, chunk: bytes, count: int) -> bytes:
    for _ in range(count):
        connection.sendall(chunk)
    return connection.recv(65536)


def test_chunked_bodies_work(client: Client, images: Make) -> None:
    body = orjson.dumps(infer_body(images()))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:101], body[101:]))
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert _status(client.raw(head.encode() + chunks + b"0\r\n\r\n")) == 200


def test_a_connection_stays_open(client: Client, images: Make) -> None:
    body = orjson.dumps(infer_body(images()))
    with client.connect() as connection:
        for _ in range(3):
            connection.sendall(_request("POST", INFER, body))
            assert _status(connection.recv(65536)) == 200


def test_pipelined_requests_are_answered_in_order(client: Client, images: Make) -> None:
    requests = []
    for i in range(20):
        if i % 2:
            requests.append(_request("POST", INFER, orjson.dumps(infer_body(images())), f"X-Request-ID: n{i}"))
        else:
            requests.append(_request("GET", "/v2", b"", f"X-Request-ID: n{i}"))
    requests.append(_request("GET", "/v2", b"", "Connection: close"))
    answer = client.raw(b"".join(requests))
    found = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id: n")]
    assert found == [b"n%d" % i for i in range(20)]


def test_a_refused_body_does_not_disturb_the_next_request(client: Client) -> None:
    data = _request("POST", "/nope", b"x" * 100) + _request("GET", "/v2", b"", "Connection: close")
    answer = client.raw(data)
    assert answer.count(b"HTTP/1.1 404") == 1
    assert answer.count(b"HTTP/1.1 200") == 1


def test_bytes_one_by_one(client: Client) -> None:
    with client.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in _request("GET", "/v2", b"", "Connection: close"):
            connection.sendall(bytes([byte]))
        assert _status(connection.recv(65536)) == 200


def test_100_continue(client: Client, images: Make) -> None:
    body = orjson.dumps(infer_body(images()))
    whole = _request("POST", INFER, body, "Expect: 100-continue")
    with client.connect() as connection:
        connection.sendall(whole[: -len(body)])
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert _status(connection.recv(65536)) == 200


def test_an_offer_to_upgrade_is_ignored(client: Client) -> None:
    answer = client.raw(_request("GET", "/v2", b"", "Connection: Upgrade", "Upgrade: h2c"))
    assert _status(answer) == 200


def test_http_1_0(client: Client) -> None:
    answer = client.raw(b"GET /v2 HTTP/1.0\r\n\r\n")
    assert _status(answer) == 200
    assert b"connection: close" in answer


def test_an_absolute_target(client: Client) -> None:
    answer = client.raw(_request("GET", "http://localhost/v2", b"", "Connection: close"))
    assert _status(answer) == 200


def test_head_has_no_body(client: Client) -> None:
    reply = client("HEAD", "/v2")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


def test_options_and_405_name_the_methods(client: Client) -> None:
    assert client("OPTIONS", INFER).headers["allow"] == "POST, OPTIONS"
    assert client("OPTIONS", "/v2").headers["allow"] == "GET, HEAD, OPTIONS"
    for method in ("GET", "DELETE", "PUT", "PATCH"):
        reply = client(method, INFER)
        assert (reply.status, reply.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    "path", ["/nope", "/v2/nope", "/v2/models/a/b/c", "/%2e%2e/model.py", "/docs/../app.py", "/%00"]
)
def test_unknown_paths_are_404(path: str, client: Client) -> None:
    assert client("GET", path).status == 404


@pytest.mark.parametrize("given", ["abc-1", "a" * 128, "0:1.2_3"])
def test_a_sane_request_id_comes_back(given: str, client: Client) -> None:
    assert client("GET", "/v2", x_request_id=given).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["a b", "a" * 129, "<script>", ""])
def test_another_request_id_is_replaced(given: str, client: Client) -> None:
    found = client("GET", "/v2", x_request_id=given).headers["x-request-id"]
    assert found != given
    assert len(found) < 40


@pytest.fixture
def hasty(server: Running, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The server with little patience."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "IDLE_SECONDS", "LINGER_SECONDS", "WRITE_SECONDS"):
        monkeypatch.setattr(limits, name, 0.2)
    return server.client


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", b""),
        (b"GET /v2 HT", b"HTTP/1.1 408"),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX", b"HTTP/1.1 408"),
        (_request("POST", INFER, b"12345")[:-1], b"HTTP/1.1 408"),
    ],
    ids=["silence", "half a line", "half a head", "half a body"],
)
def test_slow_senders_are_let_go(data: bytes, answer: bytes, hasty: Client) -> None:
    started = time.perf_counter()
    assert hasty.raw(data).startswith(answer)
    assert time.perf_counter() - started < 2


def test_dripping_bytes_does_not_win_time(hasty: Client) -> None:
    started = time.perf_counter()
    with hasty.connect() as connection:
        connection.settimeout(0.03)
        answer = b""
        for byte in b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(1000)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.perf_counter() - started < 2


def test_an_idle_connection_is_closed(hasty: Client) -> None:
    with hasty.connect() as connection:
        connection.sendall(_request("GET", "/v2"))
        assert _status(connection.recv(65536)) == 200
        assert connection.recv(65536) == b""


def test_a_client_that_does_not_read_is_let_go(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRITE_SECONDS", 0.3)
    monkeypatch.setattr(limits, "COMPRESS_BYTES", (1, 0))
    before = len(server.app.connections)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.client.port))
        connection.settimeout(5)
        request = _request("POST", "/explain?model=mlp", bytes(784), "Content-Type: application/octet-stream")
        connection.sendall(request)
        wait_for(lambda: len(server.app.connections) > before)
        wait_for(lambda: len(server.app.connections) == before)


def test_too_many_connections_get_429(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", len(server.app.connections) + 2)
    held = [server.client.connect() for _ in range(2)]
    wait_for(lambda: len(server.app.connections) >= 2)
    answer = server.client.raw(b"")
    assert _status(answer) == 429
    assert b"retry-after: 1" in answer
    for connection in held:
        connection.close()


def test_bodies_in_memory_are_bounded_all_together(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_BYTES", 100_000)
    half = _request("POST", INFER, bytes(200_000))[:150_000]
    with server.client.connect() as first:
        first.sendall(half)
        assert _status(first.recv(65536)) == 429
    wait_for(lambda: server.app.held == 0)


def test_too_many_pipelined_requests_get_429(client: Client) -> None:
    answer = client.raw(_request("GET", "/v2") * (limits.PIPELINED_REQUESTS + 1))
    assert _status(answer) == 429


def test_parallel_clients_each_get_their_own(client: Client, images: Make) -> None:
    wrong: list[int] = []

    def ask(seed: int) -> None:
        body = infer_body(images(seed=seed), id=str(seed))
        expected = client("POST", INFER, body).body
        for _ in range(5):
            reply = client("POST", INFER, body)
            if reply.body != expected or reply.json["id"] != str(seed):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_mistake_of_ours_is_500_without_its_insides(images: Make, models_dir: Path) -> None:
    with running(models_dir) as found:
        model = found.app.endpoints.repository.entries["lenet_28"].model
        object.__setattr__(model, "session", None)
        reply = found.client("POST", INFER, infer_body(images()))
        assert reply.status == 500
        assert "Traceback" not in reply.json["error"]
        assert found.client("POST", "/v2/models/mlp/infer", infer_body(images())).status == 200
    assert b"Traceback" in found.log.getvalue()
