"""One HTTP/1.1 connection: answers in order, one request at a time, a deadline for whatever it waits for."""

import asyncio
import socket
import time
from typing import Protocol, cast

from serve.http.messages import Problem, Request, Response, busy, compress, head_start, request_id
from serve.http.parsing import Gate, RequestParser
from serve.inference import limits

IDLE, HEAD, BODY, ANSWER, WRITE, LINGER = "idle", "head", "body", "answer", "write", "linger"


class Application(Gate, Protocol):
    """What a connection asks of the server behind it."""

    connections: "set[Connection]"
    buffer: memoryview
    """What a socket has just sent, until the connection has looked at it: one for all of them."""
    draining: bool
    date: str
    """Now, for the Date header."""

    def handle(self, request: Request) -> None:
        """Answer with `request.reply(response)`, now or later."""
        ...

    def finish(self, request: Request, response: Response) -> None:
        """The answer has been written."""
        ...


class Connection(asyncio.BufferedProtocol):
    def __init__(self, app: Application) -> None:
        self.app = app
        self.state = IDLE
        self.deadline = time.perf_counter() + limits.HEAD_SECONDS
        self.client = ""
        self._parser = RequestParser(app, self._new_request)
        self._answering: Request | None = None
        self._unread = b""
        self._looping = False
        self._writable = True

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        # asyncio does so only for sockets made with IPPROTO_TCP, which create_server's are not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""
        self.app.connections.add(self)
        if len(self.app.connections) > limits.CONNECTIONS:
            self._refuse(busy(f"more than {limits.CONNECTIONS} connections"))

    def connection_lost(self, error: Exception | None) -> None:
        self.app.connections.discard(self)
        self._parser.release_all()
        if self._answering is not None:
            self._answering.gone = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.app.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self.app.buffer[:nbytes]
        if self.state == LINGER:
            return
        if self._answering is not None or not self._writable:
            self._unread += data
            self.transport.pause_reading()
            return
        self._feed(data)

    def eof_received(self) -> None:
        """A client that stops sending has gone: the transport closes, and what it queued is dropped."""

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.state == WRITE:
            self._wait_for_client()
            self._go_on()

    # Requests and answers

    def _new_request(self) -> Request:
        return Request(self.client, self._reply)

    def _feed(self, data: bytes | memoryview) -> None:
        parser = self._parser
        parser.feed(data)
        if len(parser.complete) > limits.PIPELINED_REQUESTS:
            self._refuse(busy(f"more than {limits.PIPELINED_REQUESTS} requests at once on one connection"))
        elif parser.complete:
            self._answer_complete()
        else:
            self._wait_for_rest()

    def _answer_complete(self) -> None:
        self._looping = True
        complete = self._parser.complete
        while complete and self._answering is None and self._writable and self.state != LINGER:
            self._answer(complete.popleft())
        self._looping = False
        if self._answering is None and self.state != LINGER:
            self._wait_for_rest()

    def _answer(self, request: Request) -> None:
        self._answering = request
        request.deadline = time.perf_counter() + limits.ANSWER_SECONDS
        self.state, self.deadline = ANSWER, request.deadline + limits.TICK_SECONDS
        if request.refusal is not None:
            request.reply(request.refusal.response())
        else:
            self.app.handle(request)

    def _wait_for_rest(self) -> None:
        """Of a request that has begun to arrive: refuse it early where that is due, else give it time."""
        request = self._parser.partial
        if request is None:
            return
        if request.refusal is not None:
            self._refuse(request.refusal)
        elif self._parser.head_done and self.state != BODY:
            self.state, self.deadline = BODY, time.perf_counter() + limits.BODY_SECONDS
            if b"expect" in request.headers:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif self.state == IDLE:
            self.state, self.deadline = HEAD, time.perf_counter() + limits.HEAD_SECONDS

    def _reply(self, request: Request, response: Response) -> None:
        """Write the answer, unless the request has been answered or its client is gone."""
        if request is not self._answering or request.gone:
            return
        self._answering = None
        self._parser.release(request)
        keep_alive = request.keep_alive and not self.app.draining
        self._write(request, response, keep_alive)
        if not keep_alive:
            self._linger()
            return
        self._wait_for_client()
        if not self._looping:
            self._go_on()

    def _go_on(self) -> None:
        self._answer_complete()
        if self._unread and self._answering is None and self._writable and self.state != LINGER:
            data, self._unread = self._unread, b""
            self.transport.resume_reading()
            self._feed(data)

    def _write(self, request: Request, response: Response, keep_alive: bool) -> None:
        if not request.path.startswith("/v2") or request.path.endswith("/infer"):  # else tritonclient's asyncio client
            compress(response, request.headers.get(b"accept-encoding", b""))  # would take metadata as it comes
        head = (
            f"{head_start(response.status, response.content_type)}content-length: {len(response.body)}\r\n"
            f"x-request-id: {request.id}\r\ndate: {self.app.date}\r\n"
        )
        for headers in (response.headers, request.answer_headers):
            if headers:
                head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if not keep_alive:
            head += "connection: close\r\n"
        body = b"" if request.method == "HEAD" else response.body
        self.transport.write(f"{head}\r\n".encode("latin-1") + body)
        self.app.finish(request, response)

    def _refuse(self, problem: Problem) -> None:
        """Answer whatever is arriving with a problem, and close."""
        request = self._parser.partial or self._new_request()
        request.id = request.id or request_id(None)
        request.started = request.started or time.perf_counter()
        self._write(request, problem.response(), keep_alive=False)
        self._linger()

    def _linger(self) -> None:
        """Closing at once while the client still sends could take its answer away (RFC 9112, 9.6)."""
        self.state, self.deadline = LINGER, time.perf_counter() + limits.LINGER_SECONDS
        self._unread = b""
        self._parser.complete.clear()
        if not self.transport.is_closing():
            try:
                self.transport.write_eof()
            except OSError:  # the client has gone already, which nobody has told us yet
                self.transport.abort()
            else:
                self.transport.resume_reading()

    # Bounds in time

    def _wait_for_client(self) -> None:
        now = time.perf_counter()
        if self.transport.get_write_buffer_size():
            self.state, self.deadline = WRITE, now + limits.WRITE_SECONDS
        else:
            seconds = limits.PARTING_SECONDS if self.app.draining else limits.IDLE_SECONDS
            self.state, self.deadline = IDLE, now + seconds

    def drain(self) -> None:
        """Closing an idle connection at once could meet a request that is on its way."""
        if self.state == IDLE:
            self._wait_for_client()

    def tick(self, now: float) -> None:
        """Act where a deadline has passed."""
        if self.state == WRITE and not self.transport.get_write_buffer_size():
            self._wait_for_client()
        if now < self.deadline:
            return
        if self.state == ANSWER and self._answering is not None:
            self._answering.reply(Problem(504, "no answer in time").response())
        elif self.state in (HEAD, BODY):
            self._refuse(Problem(408, f"the rest of the {self.state} did not arrive in time"))
        elif self.state == IDLE:
            self.transport.close()
        else:
            self.transport.abort()
