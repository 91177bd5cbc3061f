"""What goes in and out: requests, responses, and problems that are responses."""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from typing import Any

import orjson

from serve.inference.limits import COMPRESS_BYTES, RETRY_SECONDS

JSON = "application/json"
BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_PROCESS, _SERIAL = token_hex(6), count(1)


@dataclass(slots=True)
class Response:
    """A complete answer; the connection adds what HTTP needs."""

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
    return Problem(429, message, {"retry-after": str(RETRY_SECONDS)})


def unavailable(message: str) -> Problem:
    return Problem(503, message, {"retry-after": str(RETRY_SECONDS)})


@dataclass(slots=True, eq=False)
class Request:
    """One HTTP request. `reply` answers it; only the first answer counts."""

    client: str
    on_reply: Callable[["Request", Response], None]
    method: str = ""
    target: bytes = b""
    path: str = ""
    query: str = ""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0
    """Bytes of the body that are held in memory."""
    id: str = ""
    started: float = 0.0
    deadline: float = 0.0
    """On the clock of time.perf_counter, as `started`."""
    keep_alive: bool = True
    gone: bool = False
    """The client closed the connection: nobody waits for the answer."""
    refusal: Problem | None = None
    route: Any = None
    """Of serve.routing."""
    arguments: tuple[str, ...] = ()
    model: str = ""
    version: str = ""
    answer_headers: Mapping[str, str] | None = None
    """What its answer carries besides the answer's own."""

    def reply(self, response: Response) -> None:
        self.on_reply(self, response)

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


def request_id(given: bytes | None) -> str:
    """The client's own id where it is short and plain, else a new one."""
    if given is not None and _SANE_ID(given):
        return given.decode()
    return f"{_PROCESS}-{next(_SERIAL):x}"


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
    smallest, largest = COMPRESS_BYTES
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


@lru_cache(maxsize=64)
def head_start(status: int, content_type: str) -> str:
    """What the answers of one status and type have in common."""
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return f"{line}\r\ncontent-type: {content_type}\r\nx-content-type-options: nosniff\r\n"
