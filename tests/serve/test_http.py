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
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * limits.TARGET_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2 * limits.HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(200)) + b"\r\n", 431),
    ],
    ids=[
        "nonsense", "two hosts", "negative length", "two lengths", "gzip transfer", "bad chunk", "long path",
        "long header", "many headers",
    ],
)  # fmt: skip
def test_bad_http_is_refused(data: bytes, status: int, client: Client) -> None:
    with client.connect() as connection:
        connection.sendall(data)
        assert _status(connection.recv(65536)) == status


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limits.TENSOR_BYTES + 1}\r\n\r\n"
    answer = client.raw(head.encode())
    assert _status(answer) == 413


def test_a_body_of_the_largest_size_is_read(client: Client) -> None:
    assert client("POST", INFER, b" " * limits.TENSOR_BYTES).status == 400  # no JSON, but read


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


def test_100_continue(client: Client, images: Make) -> None:
    body = orjson.dumps(infer_body(images()))
    whole = _request("POST", INFER, body, "Expect: 100-continue")
    with client.connect() as connection:
        connection.sendall(whole[: -len(body)])
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert _status(connection.recv(65536)) == 200


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


@pytest.mark.parametrize(
    "request_",
    [
        _request("POST", INFER, b"12345")[:-1],
        f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123".encode(),
    ],
    ids=["of a known length", "in chunks"],
)
def test_a_body_that_never_ends_is_408(request_: bytes, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.2)
    with client.connect() as connection:
        connection.sendall(request_)
        assert _status(connection.recv(65536)) == 408


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [b"", b"GET /v2 HT", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX", _request("GET", "/v2")],
    ids=["silence", "half a line", "half a head", "between two requests"],
)
def test_whoever_sends_no_head_in_time_is_let_go(
    data: bytes, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 1.0)
    with running(models_dir / "mlp.onnx") as server:
        started = time.perf_counter()
        server.client.raw(data)
        assert time.perf_counter() - started < 5


def test_chunks_are_counted(client: Client) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with client.connect() as connection:
        connection.sendall(head)
        try:
            for _ in range(1 + limits.TENSOR_BYTES // 0x10000):
                connection.sendall(chunk)
        except ConnectionError:  # refused already
            pass
        assert _status(connection.recv(65536)) == 413


def test_small_pieces_take_no_more_memory_than_the_body(server: Running) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with server.client.connect() as connection:
        connection.sendall(head + b"2\r\n  \r\n" * 50_000)
        wait_for(lambda: server.app.held == 100_000)
    wait_for(lambda: server.app.held == 0)


def test_bodies_in_memory_are_bounded_all_together(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_BYTES", 100_000)
    half = _request("POST", INFER, bytes(200_000))[:150_000]
    with server.client.connect() as first:
        first.sendall(half)
        assert _status(first.recv(65536)) == 429
    wait_for(lambda: server.app.held == 0)


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
