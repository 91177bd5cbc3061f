"""What goes in and out: requests, responses, and problems that are responses."""

import asyncio
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from secrets import token_hex
from typing import Any

import orjson

from serve.inference import limits

JSON = "application/json"
BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_SERIAL = count(1)


@dataclass(slots=True)
class Response:
    """A complete answer; the application adds what HTTP needs."""

    body: bytes = b""
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] | None = None
    reason: str | None = None
    """Why it is not a success, for the log."""


class Problem(Exception):
    """A request that gets another answer than it hoped for; the message is one line for its sender."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self) -> Response:
        message = str(self)
        return Response(orjson.dumps({"error": message}), JSON, self.status, self.headers, message)


def busy(message: str) -> Problem:
    return Problem(429, message, {"retry-after": str(limits.RETRY_SECONDS)})


def unavailable(message: str) -> Problem:
    return Problem(503, message, {"retry-after": str(limits.RETRY_SECONDS)})


@dataclass(slots=True, eq=False)
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    client: str
    id: str
    started: float
    receive: Callable[[], Awaitable[Any]]
    """ASGI's: the next part of the body, and after its end whether the client has left."""
    task: "asyncio.Task[Any]"
    """Answers it."""
    body: bytes = b""
    held: int = 0
    """Bytes of its body that have been read."""
    waits: bool = False
    """All of it has been read, and the answer is being made."""
    watch: "asyncio.Task[None] | None" = None
    deadline: float = float("inf")
    """On the clock of time.perf_counter, as `started`."""
    late: Problem = field(default_factory=lambda: Problem(504, "no answer in time"))
    ended: Problem | None = None
    """Why the task was cancelled."""
    model: str = ""
    version: str = ""
    answer_headers: Mapping[str, str] | None = None
    """What its answer carries besides the answer's own."""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def expect(self, seconds: float, status: int, message: str) -> None:
        """What comes next takes at most so long; else this is the answer."""
        self.deadline, self.late = time.perf_counter() + seconds, Problem(status, message)

    def look(self, now: float) -> None:
        """From time to time: end it where its time is over or its client has left."""
        if now > self.deadline:
            self.end(self.late)
        elif self.waits and self.watch is None and now - self.started > limits.TICK_SECONDS / 2:
            self.watch = asyncio.create_task(self._watch())

    def end(self, problem: Problem) -> None:
        self.ended = problem
        self.task.cancel()

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.end(Problem(499, "the client left"))  # nobody sees it; the log has it, as nginx's does


def request_id(given: bytes | None) -> str:
    """The client's own id where it is short and plain, else a new one."""
    if given is not None and _SANE_ID(given):
        return given.decode()
    return f"{_process()}-{next(_SERIAL):x}"


@lru_cache(maxsize=1)
def _process() -> str:
    """Drawn at the first request: what is drawn before a process forks, all of its workers share."""
    return token_hex(6)


def to_json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), JSON, status)


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its gzip or deflate (zlib) coding, never more than `limit` bytes of it."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise Problem(415, f"content encoding {encoding[:40]!r} is not known; send gzip, deflate or none")
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(400, f"the body is not valid {encoding}") from error
    if len(plain) > limit:
        raise Problem(413, f"the body is larger than {limit} bytes once decompressed")
    if not decoder.eof or decoder.unused_data:
        raise Problem(400, f"the body is not one complete {encoding} stream")
    return plain


def compress(response: Response, accepted: bytes) -> None:
    """Compress in place where the client asks for it and the size makes it worth while."""
    smallest, largest = limits.COMPRESS_BYTES
    encoding = _encoding(accepted) if smallest <= len(response.body) <= largest else ""
    if encoding:
        coder = zlib.compressobj(1, wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
        response.body = coder.compress(response.body) + coder.flush()
        response.headers = {
            **(response.headers or {}),
            "content-encoding": encoding,
            "vary": "accept-encoding",
        }


@lru_cache(maxsize=64)
def _encoding(accepted: bytes) -> str:
    offers = [offer.replace(" ", "").partition(";q=") for offer in accepted.decode("latin-1").lower().split(",")]
    wanted = {name for name, _, weight in offers if weight not in ("0", "0.0", "0.00", "0.000")}
    return next((name for name in ("gzip", "deflate") if name in wanted), "")
