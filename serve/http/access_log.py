"""One JSON line per request and per event on standard error; no image, no waiting for the reader."""

import threading
import time
from queue import Full, Queue
from typing import Any, BinaryIO

import orjson

from serve.http.messages import Request, Response
from serve.inference.limits import LOG_BACKLOG


class AccessLog:
    """Lines gather in the event loop; a thread writes them, so that a stuck reader stops nothing."""

    def __init__(self, stream: BinaryIO | None = None, *, requests: bool = True) -> None:
        self.dropped = 0
        """Lines lost to a reader that does not keep up."""
        self._requests = requests
        # Not sys.stderr: a thread stuck in it keeps its lock, and Python flushes it at its end.
        self._stream = stream or open(2, "wb", buffering=0, closefd=False)  # noqa: SIM115  never closed
        self._lines: list[bytes] = []
        self._chunks: Queue[bytes | None] = Queue(LOG_BACKLOG)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def request(self, request: Request, response: Response, seconds: float) -> None:
        if self._requests:
            line = {
                "time": time.time(),
                "id": request.id,
                "client": request.client,
                "method": request.method,
                "path": request.path[:200],
                "status": response.status,
                "ms": int(seconds * 1e6) / 1e3,
                "bytes": len(response.body),
            }
            if request.model:
                line |= {"model": request.model, "version": request.version}
            if response.reason:
                line["reason"] = response.reason[:300]
            self._lines.append(orjson.dumps(line))

    def event(self, text: str, **more: Any) -> None:
        self._lines.append(orjson.dumps({"time": time.time(), "event": text, **more}))

    def flush(self) -> None:
        """Hand over what has gathered; call it every now and then."""
        if not self._lines:
            return
        try:
            self._chunks.put_nowait(b"\n".join([*self._lines, b""]))
        except Full:
            self.dropped += len(self._lines)
        self._lines.clear()

    def close(self, seconds: float = 1.0) -> None:
        self.flush()
        try:
            self._chunks.put(None, timeout=seconds)
        except Full:
            return
        self._thread.join(seconds)

    def _write(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            try:
                self._stream.write(chunk)
                self._stream.flush()
            except (OSError, ValueError):  # the reader has gone
                return
