"""Requests at a steady rate over a few connections, every answer held against the ones expected."""

import re
import socket
import threading
import time
from array import array
from collections import Counter
from collections.abc import Collection

ANSWER_SECONDS = 30.0
_LENGTH = re.compile(rb"content-length: (\d+)").search


class Load:
    """Threads, one connection each, that ask until `stop`.

    A connection that the server has closed is opened again and the request repeated, as HTTP clients do; `lost`
    counts the requests that got no answer on a fresh connection either.
    """

    def __init__(self, address: tuple[str, int], request: bytes, expected: Collection[bytes], connections: int) -> None:
        self.statuses: Counter[str] = Counter()
        """By status; 429 and 503 without Retry-After apart."""
        self.answers: Counter[bytes] = Counter()
        """Bodies with status 200."""
        self.wrong = self.lost = self.reconnected = 0
        self.latencies_ms = array("f")
        """From when a request was due."""
        self._address, self._request, self._expected = address, request, frozenset(expected)
        self._connections = connections
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, rate: float | None) -> None:
        """Requests per second in all; None for as many as are answered."""
        interval = self._connections / rate if rate else 0.0
        self._threads = [
            threading.Thread(target=self._ask_on, args=(interval, number / self._connections), daemon=True)
            for number in range(self._connections)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_SECONDS)

    def _ask_on(self, interval: float, offset: float) -> None:
        wire = _Wire(self._address)
        due = time.perf_counter() + interval * offset
        while not self._stopping.is_set():
            time.sleep(max(0.0, due - time.perf_counter()))
            if not interval:
                due = time.perf_counter()
            answer = self._ask(wire)
            self._note(answer, (time.perf_counter() - due) * 1e3)
            due += interval
        wire.close()

    def _ask(self, wire: "_Wire") -> tuple[bytes, bytes] | None:
        reused = wire.is_open
        answer = wire.ask(self._request)
        if answer is None and reused:
            with self._lock:
                self.reconnected += 1
            answer = wire.ask(self._request)
        return answer

    def _note(self, answer: tuple[bytes, bytes] | None, milliseconds: float) -> None:
        with self._lock:
            self.latencies_ms.append(milliseconds)
            if answer is None:
                self.lost += 1
                return
            head, body = answer
            status = head[9:12].decode()
            if status in ("429", "503") and b"\r\nretry-after: " not in head:
                status += " without Retry-After"
            self.statuses[status] += 1
            if status == "200":
                self.answers[body] += 1
                self.wrong += body not in self._expected


class _Wire:
    """A connection that stays open as long as both sides want it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def ask(self, request: bytes) -> tuple[bytes, bytes] | None:
        """Head and body of the answer, None where there is none."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=ANSWER_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            answer = self._answer(self._socket)
        except OSError:
            answer = None
        if answer is None or b"\r\nconnection: close" in answer[0]:
            self.close()
        return answer

    def _answer(self, connection: socket.socket) -> tuple[bytes, bytes] | None:
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            length = _LENGTH(head) if end else None
            if length and len(body) >= int(length[1]):
                return head, body
            more = connection.recv(65536)
            if not more:
                return None
            data += more

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
