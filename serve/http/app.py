"""The ASGI application: who may ask what, bounds on what is sent, and what is counted and written down of it.

`python -m serve` runs it under Granian; `uvicorn --factory serve.http.app:App` does as well. An application that
mounts it runs `async with app.lifespan():` in its own lifespan.
"""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from serve.http import files, metrics
from serve.http.access_log import AccessLog
from serve.http.endpoints import Endpoints
from serve.http.gallery import Gallery
from serve.http.messages import Problem, Request, Response, busy, compress, request_id
from serve.http.routing import Match, Route, Router
from serve.http.settings import Settings
from serve.inference import limits
from serve.inference.model import ModelError
from serve.inference.repository import Repository

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """All methods belong to the event loop's thread."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        log: AccessLog | None = None,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        """`leaving` tells whether the server is about to stop: still answering, but ready for no more."""
        self.settings = settings = settings or Settings()
        self.repository = Repository(settings.models, threads=settings.threads)
        self.log = log or AccessLog(requests=settings.log_requests)
        self.metrics = metrics.Metrics()
        self.endpoints = Endpoints(self.repository, self.metrics, leaving, model_control=settings.model_control)
        self.open: set[Request] = set()
        """Requests that have not been answered yet."""
        self.held = 0
        """Bytes of request bodies in memory."""
        self.gallery = Gallery(self.repository)
        metrics_route = Route("metrics", "GET", "/metrics", self._metrics)
        self.routes = [*self.endpoints.routes(), *self.gallery.routes(), metrics_route]
        self._router = Router(self.routes)
        self._asked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._add_gauges()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close"})

    # Its life

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Raises ModelError where there is nothing to serve."""
        await self.start()
        try:
            yield
        finally:
            self.stop()

    async def start(self) -> None:
        """Raises ModelError where there is nothing to serve."""
        changes = await asyncio.to_thread(self.repository.refresh)
        if not self.repository.ready:
            reasons = "; ".join(entry.reason for entry in self.repository.entries.values())
            nothing = f"no ONNX file in {', '.join(self.settings.models)}; `make` trains and exports some"
            raise ModelError(reasons or nothing)
        self._note(changes)
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._watch())]

    def stop(self) -> None:
        self.log.event("stopping")
        for task in self._tasks:
            task.cancel()
        self.endpoints.close()
        self.log.close()

    def reload(self) -> None:
        """Load all models again, a registry's fetched anew."""
        self._asked.set()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except ModelError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _tick(self) -> None:
        """Look at every bound in time, and hand the log over."""
        while True:
            try:
                now = time.perf_counter()
                for request in list(self.open):
                    request.look(now)
                self.metrics.update()
            except Exception as error:  # of one look, which must not be the last
                self.log.event("internal error", trace="".join(traceback.format_exception(error)))
            self.log.flush()
            await asyncio.sleep(limits.TICK_SECONDS)

    async def _watch(self) -> None:
        """Pick up new exports."""
        while True:
            try:
                async with asyncio.timeout(limits.RELOAD_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            force = self._asked.is_set()
            self._asked.clear()
            try:
                self._note(await asyncio.to_thread(self.repository.refresh, force=force))
            except Exception as error:  # a full disk or a registry that is away must not end the watch
                self.log.event("the models could not be looked at", reason=str(error)[:300])

    def _note(self, changes: list[str]) -> None:
        """Of the models on offer: into the log and the metrics."""
        for line in changes:
            self.log.event(line)
        if changes:
            self.metrics.show_models(self.repository.entries)

    # Requests

    async def _http(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        request, route = _request(scope, receive), None
        self.open.add(request)
        try:
            route, arguments = self._admit(request, scope)
            request.body = await self._body(request, route.body)
            request.waits = True
            request.expect(limits.ANSWER_SECONDS, 504, "no answer in time")
            answer = route.handler(request, *arguments)
            response = answer if isinstance(answer, Response) else await answer
        except Problem as problem:
            response = problem.response()
        except asyncio.CancelledError:
            if request.ended is None:
                raise
            request.task.uncancel()
            response = request.ended.response()
        except Exception as error:
            response = self._failed(request, error)
        finally:
            self.open.discard(request)
            self.held -= request.held
            if request.watch is not None:
                request.watch.cancel()
        await self._send(request, response, send)
        seconds = time.perf_counter() - request.started
        self.metrics.count(route.name if route else "none", request.model, response.status, seconds)
        self.log.request(request, response, seconds)

    def _admit(self, request: Request, scope: Mapping[str, Any]) -> tuple[Route, tuple[str, ...]]:
        """What answers it. Raises Problem where nobody should read its body."""
        if len(request.headers) < len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"host") > 1:
            raise Problem(400, "two Host headers")
        if len(request.path) + len(request.query) > limits.TARGET_BYTES:
            raise Problem(414, f"the path is longer than {limits.TARGET_BYTES} bytes")
        match = self._router.match(request.path) or _file_match(request.path)
        guard = self.settings.guard
        if match is None:
            guard.check(request, public=False)
            raise Problem(404, f"there is nothing at {request.path[:200]!r}; see /docs")
        request.answer_headers = guard.cross_origin(request)
        if request.method == "OPTIONS":
            return Route("options", "OPTIONS", "", _options), (match.allowed,)
        route = match.route(request.method)
        guard.check(request, public=route.public)
        if route.room is not None:
            route.room(*match.arguments)
        return route, match.arguments

    async def _body(self, request: Request, limit: int) -> bytes:
        """Raises Problem 400, 413 or 429."""
        length = request.headers.get(b"content-length", b"")
        size = int(length) if length.isdigit() else -1
        self._check_size(size, limit)
        if limit == 0 or size == 0:
            return b""
        request.expect(limits.BODY_SECONDS, 408, "the rest of the body did not arrive in time")
        body = bytearray()
        while len(body) != size:  # one look less than waiting for the last, empty part
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "the body ended early")
            part = message.get("body", b"")
            body += part
            request.held += len(part)
            self.held += len(part)
            self._check_size(len(body), limit)
            if not message.get("more_body"):
                break
        return bytes(body)

    def _check_size(self, size: int, limit: int) -> None:
        if size > limit:
            raise Problem(413, f"the body has more than {limit} bytes")
        if self.held > limits.HELD_BYTES:
            raise busy("too much is waiting already")

    async def _send(self, request: Request, response: Response, send: Send) -> None:
        if not request.path.startswith("/v2") or request.path.endswith("/infer"):  # else tritonclient's asyncio client
            compress(response, request.headers.get(b"accept-encoding", b""))  # would take metadata as it comes
        headers = [
            *_usual_headers(response.content_type),
            (b"content-length", b"%d" % len(response.body)),
            (b"x-request-id", request.id.encode()),
        ]
        for more in (response.headers, request.answer_headers):
            if more:
                headers += [(name.encode(), value.encode("latin-1")) for name, value in more.items()]
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _failed(self, request: Request, error: Exception) -> Response:
        """A mistake of ours: the client learns its number, the log the rest."""
        self.log.event("internal error", id=request.id, trace="".join(traceback.format_exception(error)))
        return Problem(500, f"internal error; the log has it as {request.id}").response()

    def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), metrics.CONTENT_TYPE)

    def _add_gauges(self) -> None:
        endpoints, gauge = self.endpoints, self.metrics.gauge
        gauge("cifra_requests_open", "Requests not answered yet.", lambda: len(self.open))
        gauge("cifra_images_waiting", "Images in the queues.", lambda: endpoints.waiting)
        gauge("cifra_jobs", "Requests with or waiting for the worker threads.", lambda: endpoints.jobs.count)
        gauge("cifra_body_bytes", "Bytes of request bodies in memory.", lambda: self.held)
        gauge("cifra_log_lines_dropped", "Log lines lost to a slow reader.", lambda: self.log.dropped)


def _request(scope: Mapping[str, Any], receive: Receive) -> Request:
    headers, client, task = dict(scope["headers"]), scope.get("client"), asyncio.current_task()
    assert task is not None
    return Request(
        method=scope["method"],
        path=scope["path"].removeprefix(scope.get("root_path", "")),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        client=client[0] if client else "",
        id=request_id(headers.get(b"x-request-id")),
        started=time.perf_counter(),
        receive=receive,
        task=task,
    )


@lru_cache(maxsize=64)
def _usual_headers(content_type: str) -> tuple[tuple[bytes, bytes], ...]:
    return (b"content-type", content_type.encode()), (b"x-content-type-options", b"nosniff")


def _file_match(path: str) -> Match | None:
    """The page and the documentation: without a key, since a browser that has one can only give it from there."""
    file = files.find(path)
    return None if file is None else Match({"GET": Route("file", "GET", path, _file, public=True)}, (str(file),))


def _file(request: Request, path: str) -> Response:
    return files.response(Path(path))


def _options(request: Request, allowed: str) -> Response:
    return Response(b"", status=204, headers={"allow": allowed})
