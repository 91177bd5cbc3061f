"""Bytes into requests, by httptools (the parser of Node.js), with every size bounded on the way."""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import httptools

from serve.http.messages import Problem, Request, busy, request_id
from serve.inference import limits


class Gate(Protocol):
    """What decides about a request before its body is read."""

    held: int
    """Bytes of request bodies in memory, all connections together."""

    def admit(self, request: Request) -> int:
        """The most bytes the body may have. Raises Problem."""
        ...


class RequestParser:
    """Requests of one connection, in order. A refused one carries its Problem and no body."""

    def __init__(self, gate: Gate, new_request: Callable[[], Request]) -> None:
        self.complete: deque[Request] = deque()
        self.partial: Request | None = None
        """The request that is arriving."""
        self.head_done = False
        self.held = 0
        self._gate = gate
        self._new_request = new_request
        self._request: Request  # the newest, arriving or arrived
        self._parser = httptools.HttpRequestParser(self)
        self._parts: list[bytes] = []
        self._limit = 0
        self._head_bytes = 0

    def feed(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self.complete:
                self.complete[-1].keep_alive = False
        except httptools.HttpParserError as error:
            self._request = self.partial = self.partial or self._new_request()
            self._refuse(Problem(400, f"not valid HTTP: {error}"))
        if self.partial is not None and not self.head_done:
            self._head_bytes += len(data)
            if self._head_bytes > limits.HEAD_BYTES:
                self._refuse(Problem(431, f"the headers have more than {limits.HEAD_BYTES} bytes"))

    def release(self, request: Request) -> None:
        """Its body is no longer needed."""
        self.held -= request.size
        self._gate.held -= request.size
        request.size = 0

    def release_all(self) -> None:
        self._gate.held -= self.held
        self.held = 0

    # Called by httptools; exceptions must not leave these

    def on_message_begin(self) -> None:
        self._request = self.partial = self._new_request()
        self.head_done = False

    def on_url(self, fragment: bytes) -> None:
        request = self._request
        request.target += fragment
        if len(request.target) > limits.TARGET_BYTES:
            self._refuse(Problem(414, f"the path is longer than {limits.TARGET_BYTES} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._request.headers
        name = name.lower()
        if name == b"host" and name in headers:
            self._refuse(Problem(400, "two Host headers"))
        headers[name] = value
        if len(headers) > limits.HEADERS:
            self._refuse(Problem(431, f"more than {limits.HEADERS} headers"))

    def on_headers_complete(self) -> None:
        request = self._request
        self.head_done, self._head_bytes, self._parts = True, 0, []
        request.started = time.perf_counter()
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        request.id = request_id(request.headers.get(b"x-request-id"))
        try:
            _check_head(request, self._parser.get_http_version())
            self._limit = self._gate.admit(request)
            self._check_size(int(request.headers.get(b"content-length", b"0")))
        except Problem as problem:
            self._refuse(problem)

    def on_body(self, body: bytes) -> None:
        request = self._request
        if request.refusal is not None:
            return
        request.size += len(body)
        self.held += len(body)
        self._gate.held += len(body)
        self._parts.append(body)
        try:
            self._check_size(request.size)
        except Problem as problem:
            self._refuse(problem)

    def on_message_complete(self) -> None:
        request, self.partial = self._request, None
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self.complete.append(request)

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise Problem(413, f"the body has more than {self._limit} bytes")
        if self._gate.held > limits.HELD_BYTES:
            raise busy("too much is waiting already")

    def _refuse(self, problem: Problem) -> None:
        """The first problem counts."""
        request = self._request
        if request.refusal is None:
            request.refusal = problem
            self.release(request)
            self._parts = []


def _check_head(request: Request, version: str) -> None:
    headers = request.headers
    if version not in ("1.0", "1.1"):
        raise Problem(400, f"HTTP/{version} is not spoken here; use HTTP/1.1")
    if version == "1.1" and b"host" not in headers:
        raise Problem(400, "no Host header")
    if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Problem(417, "only 100-continue can be expected")
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise Problem(400, "the only transfer encoding is chunked")
    target = request.target
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    path, _, query = target.partition(b"?")
    request.path, request.query = path.decode("latin-1"), query.decode("latin-1")
