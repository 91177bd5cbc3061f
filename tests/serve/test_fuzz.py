"""No input is answered with 5xx, and none costs memory for good."""

import base64
import io
import random
import re
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import orjson
import pytest
from PIL import Image

from tests.serve.networks import save_samples
from tests.serve.running import ROOT, Process, infer_body, process

schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
described = schemathesis.openapi.from_path(ROOT / "serve/docs/openapi.json")
REQUESTS = 10_000
MEGABYTES = 24  # what memory may grow by after the first fifth


@pytest.fixture(scope="module")
def victim(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    directory = shutil.copytree(models_dir, tmp_path_factory.mktemp("victim") / "models")
    save_samples(directory)
    arguments = ("--models", str(directory), "--no-request-log")
    with process(tmp_path_factory.mktemp("fuzz"), *arguments) as found:
        yield found


@pytest.mark.slow
@described.parametrize()
@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
def test_the_server_is_as_described(case: Any, victim: Process) -> None:
    """Statuses, content types and schemas; inputs that break the schema may still be understood."""
    tolerant = [
        schemathesis.checks.CHECKS.get_one("negative_data_rejection"),
        schemathesis.checks.CHECKS.get_one("positive_data_acceptance"),
    ]
    case.call_and_validate(base_url=f"http://127.0.0.1:{victim.client.port}", excluded_checks=tolerant)


Sample = tuple[str, str, dict[str, str], bytes]  # method, path, headers, body
JUNK: list[Any] = [
    None, True, -1, 0, 1, 255, 256, 2**31, 2**63, -(2**63), 1.5, 1e308, "", "x", "image", "é" * 50, [], [[]], {}, [1],
    {"a": 1}, [None] * 784, [[0] * 28] * 28, "FP32", "logits",
]  # fmt: skip
HEADERS = {
    "inference-header-content-length": ["0", "1", "-1", "784", "999999999", "x", "١", "1.0"],
    "content-type": ["", "application/json", "image/png", "multipart/form-data; boundary=b", "text/plain", "\xff"],
    "content-encoding": ["gzip", "deflate", "br", "identity", "gzip, gzip", "\xff"],
    "accept": ["application/octet-stream", "*/*", ""],
    "accept-encoding": ["gzip", "deflate;q=0.5", "gzip;q=0", ";;;,,,", "\xff"],
    "x-request-id": ["a", "\xff", "a" * 500],
    "expect": ["100-continue", "x"],
    "origin": ["null", "http://[", "https://evil.example"],
    "authorization": ["Bearer", "Bearer \xff", ""],
}


def _samples() -> list[Sample]:
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image[0, 0]).resize((60, 80)).save(buffer, "PNG")
    png = buffer.getvalue()
    head = orjson.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": [1, 1, 28, 28],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": 784},
                }
            ],
            "outputs": [{"name": "logits", "parameters": {"binary_data": True, "classification": 3}}],
        }
    )
    form = b'--b\r\nContent-Disposition: form-data; name="i"; filename="a.png"\r\n\r\n' + png + b"\r\n--b--\r\n"
    picture = base64.b64encode(png).decode()
    ablate = [{"layer": "relu1", "unit": 1}]
    as_json, infer = {"content-type": "application/json"}, "/v2/models/lenet_28/infer"
    return [
        ("POST", infer, as_json, orjson.dumps(infer_body(image, id="a", parameters={"timeout": 10**6}))),
        ("POST", infer, {"inference-header-content-length": str(len(head))}, head + image.tobytes()),
        ("POST", "/v2/models/mlp/infer", {"inference-header-content-length": "0"}, image.tobytes()),
        ("POST", "/predict?model=lenet_28", {"content-type": "image/png"}, png),
        ("POST", "/predict?model=lenet_28", {"content-type": "multipart/form-data; boundary=b"}, form),
        ("POST", "/predict", as_json, orjson.dumps({"model": "mlp", "images": [picture, image[0, 0].tolist()]})),
        ("POST", "/explain", as_json, orjson.dumps({"model": "lenet_28", "image": picture, "ablate": ablate})),
        ("POST", "/v2/repository/index", as_json, b'{"ready": true}'),
        ("GET", "/v2/models/lenet_28/versions/1/stats", {}, b""),
        ("GET", "/docs/docs.css", {}, b""),
    ]


def _flip(sample: Sample, dice: random.Random) -> Sample:
    method, path, headers, body = sample
    changed = bytearray(body)
    for _ in range(dice.choice((1, 1, 5, 50))):
        if changed:
            changed[dice.randrange(len(changed))] = dice.randrange(256)
    return method, path, headers, bytes(changed)


def _cut(sample: Sample, dice: random.Random) -> Sample:
    method, path, headers, body = sample
    start, end = sorted(dice.randrange(len(body) + 1) for _ in range(2))
    return method, path, headers, dice.choice((body[:end], body[start:], body + body[start:end]))


def _junk(sample: Sample, dice: random.Random) -> Sample:
    """Another value somewhere in the JSON, where the body is JSON."""
    method, path, headers, body = sample
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _flip(sample, dice)
    at, key = {"": value}, ""
    while isinstance(at[key], dict | list) and at[key] and dice.random() < 0.85:
        at = at[key]
        key = dice.choice(list(at)) if isinstance(at, dict) else dice.randrange(len(at))
    at[key] = dice.choice(JUNK)
    return method, path, headers, orjson.dumps(value)


def _header(sample: Sample, dice: random.Random) -> Sample:
    method, path, headers, body = sample
    name = dice.choice(list(HEADERS))
    return method, path, {**headers, name: dice.choice(HEADERS[name])}, body


def _path(sample: Sample, dice: random.Random) -> Sample:
    method, path, headers, body = sample
    at = dice.randrange(1, len(path) + 1)
    piece = dice.choice(("%", "%00", "%ff", "/", "//", "?", "&ablate=conv1:1", "é", ";", "..", "=", "a" * 100))
    return (
        dice.choice((method, method, "PUT", "HEAD", "OPTIONS", "QUERY")),
        path[:at] + piece + path[at:],
        headers,
        body,
    )


MUTATIONS: list[Callable[[Sample, random.Random], Sample]] = [_flip, _cut, _junk, _junk, _header, _path]


def _spoiled(sample: Sample, dice: random.Random) -> Sample:
    for _ in range(dice.choice((1, 1, 2, 3))):
        sample = dice.choice(MUTATIONS)(sample, dice)
    return sample


def _bytes(sample: Sample) -> bytes:
    method, path, headers, body = sample
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Wire:
    """A connection that is opened again whenever the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, data: bytes, *, head: bool) -> int:
        """The status of the answer, 0 where there was none."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = self._exchange(self._socket, data, head)
        if not answer or b"connection: close" in answer.lower():
            self.close()
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, connection: socket.socket, data: bytes, head: bool) -> bytes:
        try:
            connection.sendall(data)
            answer = connection.recv(65536).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536) or b"\r\n\r\n"
            start, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", start)
            while not head and length and len(body) < int(length[1]):
                body += connection.recv(1 << 20) or bytes(int(length[1]))
            return start
        except ConnectionError:
            return b""


def _memory(victim: Process) -> float:
    """Megabytes, by the server's own account."""
    text = victim.client("GET", "/metrics").body.decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)
    return float(found[1]) / 2**20 if found else 0.0


@pytest.mark.slow
def test_ten_thousand_spoiled_requests(victim: Process) -> None:
    dice, samples = random.Random(0), _samples()
    statuses: Counter[int] = Counter()
    before = 0.0
    with closing(Wire(victim.client.port)) as wire:
        for number in range(REQUESTS):
            sample = _spoiled(dice.choice(samples), dice)
            status = wire.ask(_bytes(sample), head=sample[0] == "HEAD")
            statuses[status] += 1
            in_time = status == 504 and b'"timeout"' in sample[3]  # what the client asked for
            assert status < 500 or in_time, (sample[:3], sample[3][:500])
            if number == REQUESTS // 5:
                before = _memory(victim)
    assert {200, 400, 404, 405, 415} <= statuses.keys()
    assert statuses[0] < REQUESTS / 100
    assert _memory(victim) - before < MEGABYTES
    assert victim.client("GET", "/v2/health/ready").status == 200


@pytest.mark.slow
def test_spoiled_heads(victim: Process) -> None:
    """Bytes of the request line and headers change too; then silence is an answer as well."""
    dice, samples = random.Random(1), _samples()
    for _ in range(500):
        data = bytearray(_bytes(dice.choice(samples)))
        for _ in range(dice.choice((1, 3, 10))):
            data[dice.randrange(min(len(data), 150))] = dice.randrange(256)
        with victim.client.connect() as connection:
            connection.sendall(data)
            with suppress(OSError):  # refused and closed already
                connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        assert not answer or int(answer.split(b" ", 2)[1]) < 500
    assert victim.client("GET", "/v2/health/ready").status == 200
