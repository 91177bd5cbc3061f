"""The application behind every connection: who may ask what, and what is counted and written down of it."""

import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from serve.http import files, metrics
from serve.http.access_log import AccessLog
from serve.http.connection import Connection
from serve.http.endpoints import Endpoints
from serve.http.gallery import Gallery
from serve.http.guard import Guard
from serve.http.messages import Problem, Request, Response
from serve.http.routing import Match, Route, Router
from serve.inference import limits
from serve.inference.repository import Repository


class App:
    """Implements connection.Application. All methods but `failed` belong to the event loop's thread."""

    def __init__(self, repository: Repository, guard: Guard, log: AccessLog, *, model_control: bool = False) -> None:
        self.connections: set[Connection] = set()
        self.buffer = memoryview(bytearray(limits.READ_BYTES))
        self.held = 0
        self.draining = False
        self.date = ""
        self.log = log
        self.metrics = metrics.Metrics()
        self.endpoints = Endpoints(repository, self.failed, model_control=model_control)
        self._guard = guard
        metrics_route = Route("metrics", "GET", "/metrics", self._metrics)
        self.routes = [*self.endpoints.routes(), *Gallery(repository).routes(), metrics_route]
        self._router = Router(self.routes)
        self._add_gauges()

    def admit(self, request: Request) -> int:
        match = self._router.match(request.path) or _file_match(request.path)
        if match is None:
            self._guard.check(request, public=False)
            raise Problem(404, f"there is nothing at {request.path[:200]!r}; see /docs")
        request.answer_headers = self._guard.cross_origin(request)
        if request.method == "OPTIONS":
            request.route, request.arguments = Route("options", "OPTIONS", "", _options), (match.allowed,)
            return 0
        request.route, request.arguments = match.route(request.method), match.arguments
        self._guard.check(request, public=request.route.public)
        if request.route.room is not None:
            request.route.room(*match.arguments)
        return int(request.route.body)

    def handle(self, request: Request) -> None:
        try:
            response = request.route.handler(request, *request.arguments)
        except Problem as problem:
            response = problem.response()
        except Exception as error:
            response = self.failed(request, error)
        if response is not None:
            request.reply(response)

    def failed(self, request: Request, error: Exception) -> Response:
        """A mistake of ours: the client learns its number, the log the rest."""
        trace = "".join(traceback.format_exception(error))
        self.log.event("internal error", id=request.id, trace=trace)
        return Problem(500, f"internal error; the log has it as {request.id}").response()

    def finish(self, request: Request, response: Response) -> None:
        seconds = time.perf_counter() - request.started
        route = request.route.name if request.route is not None else "none"
        self.metrics.count(route, request.model, response.status, seconds)
        self.log.request(request, response, seconds)

    def note_changes(self, lines: list[str]) -> None:
        """Of the models on offer: into the log and the metrics."""
        for line in lines:
            self.log.event(line)
        if lines:
            entries = self.endpoints.repository.entries
            self.metrics.show_models(
                {
                    name: (entry.model.version if entry.model else "", bool(entry.reason))
                    for name, entry in entries.items()
                }
            )

    def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), metrics.CONTENT_TYPE)

    def _add_gauges(self) -> None:
        endpoints, gauge = self.endpoints, self.metrics.gauge
        gauge("cifra_connections", "Open connections.", lambda: len(self.connections))
        gauge("cifra_images_waiting", "Images in the queues.", lambda: endpoints.waiting)
        gauge("cifra_jobs", "Requests with or waiting for the worker threads.", lambda: endpoints.jobs)
        gauge("cifra_body_bytes", "Bytes of request bodies in memory.", lambda: self.held)
        gauge("cifra_log_lines_dropped", "Log lines lost to a slow reader.", lambda: self.log.dropped)


def _file_match(path: str) -> Match | None:
    """The page and the documentation: without a key, since a browser that has one can only give it from there."""
    file = files.find(path)
    return None if file is None else Match({"GET": Route("file", "GET", path, _file, public=True)}, (str(file),))


def _file(request: Request, path: str) -> Response:
    return files.response(Path(path))


def _options(request: Request, allowed: str) -> Response:
    headers: Mapping[str, str] = {"allow": allowed}
    return Response(b"", status=204, headers=headers)
