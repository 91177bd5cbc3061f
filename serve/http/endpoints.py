"""What each path of the server does. All of it runs in the event loop's thread but the jobs."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from serve.http.messages import Problem, Request, Response, busy, decompressed, to_json, unavailable
from serve.http.routing import Route
from serve.inference import limits
from serve.inference.batcher import Batcher, Work
from serve.inference.model import Answer, Model
from serve.inference.repository import Entry, Repository
from serve.protocol import answers, describe, oip, uploads

DEFAULT_MODEL = "champion"
Failed = Callable[[Request, Exception], Response]


class Endpoints:
    def __init__(self, repository: Repository, failed: Failed, *, model_control: bool) -> None:
        self.repository = repository
        self.started = False
        """The models have been looked for."""
        self.leaving = False
        """Still answering, but ready for no more: the server is about to stop."""
        self.jobs = 0
        """Requests with or waiting for the worker threads."""
        self._failed = failed
        self._model_control = model_control
        self._loop = asyncio.get_running_loop()
        self._workers = ThreadPoolExecutor(limits.WORKERS, thread_name_prefix="worker")
        self._batchers: dict[str, Batcher] = {}

    def routes(self) -> list[Route]:
        model, version = "/v2/models/{}", "/v2/models/{}/versions/{}"
        infer = partial(Route, "infer", "POST", handler=self._infer, body=limits.TENSOR_BYTES, room=self._room)
        upload = partial(Route, method="POST", body=limits.UPLOAD_BYTES, room=self._job_room)
        read = partial(Route, method="GET")
        return [
            infer(path=f"{model}/infer"),
            infer(path=f"{version}/infer"),
            upload("predict", path="/predict", handler=self._predict),
            upload("explain", path="/explain", handler=self._explain),
            read("server", path="/v2", handler=lambda _: to_json(describe.SERVER)),
            read("live", path="/v2/health/live", handler=self._live, public=True),
            read("ready", path="/v2/health/ready", handler=self._ready, public=True),
            read("models", path="/v2/models", handler=self._models),
            read("statistics", path="/v2/models/stats", handler=self._statistics),
            *(read("statistics", path=f"{path}/stats", handler=self._statistics) for path in (model, version)),
            *(read("metadata", path=path, handler=self._metadata) for path in (model, version)),
            *(read("model_ready", path=f"{path}/ready", handler=self._model_ready) for path in (model, version)),
            *(read("config", path=f"{path}/config", handler=self._config) for path in (model, version)),
            Route("index", "POST", "/v2/repository/index", self._index, limits.TENSOR_BYTES),
            Route("load", "POST", "/v2/repository/models/{}/load", self._load, limits.TENSOR_BYTES),
            Route("unload", "POST", "/v2/repository/models/{}/unload", self._unload, limits.TENSOR_BYTES),
        ]

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        self.repository.close()

    @property
    def waiting(self) -> int:
        """Images in the queues."""
        return sum(batcher.waiting for batcher in self._batchers.values())

    @property
    def is_ready(self) -> bool:
        return self.started and not self.leaving and self.repository.ready

    # Inference

    def _infer(self, request: Request, name: str, version: str | None = None) -> None:
        model = self._model(request, name, version)
        body = decompressed(request.body, request.header(b"content-encoding"), limits.TENSOR_BYTES)
        call = oip.parse(model, request, body)
        deadline = min(request.deadline, request.started + call.seconds)
        done = partial(self._inferred, request, model, call)
        self._batcher(name).submit(Work(request, model, call.images, done, time.perf_counter(), deadline))

    def _inferred(self, request: Request, model: Model, call: oip.Call, result: Answer | Exception) -> None:
        if isinstance(result, Problem):
            response = result.response()
        elif isinstance(result, Exception):
            response = self._failed(request, result)
        else:
            response = oip.encode(model, call, result)
        request.reply(response)

    def _batcher(self, name: str) -> Batcher:
        if name not in self._batchers:
            self._batchers[name] = Batcher(self._workers)
        return self._batchers[name]

    def _room(self, name: str, version: str | None = None) -> None:
        if name in self._batchers:
            self._batchers[name].check_room()

    # For people

    def _predict(self, request: Request) -> None:
        self._submit(request, lambda: answers.predict(*self._read(request)))

    def _explain(self, request: Request) -> None:
        self._submit(request, lambda: answers.explain(*self._read(request), request.header(b"accept")))

    def _submit(self, request: Request, work: Callable[[], Response]) -> None:
        self._job_room()
        self.jobs += 1
        self._workers.submit(self._job, request, work)

    def _job(self, request: Request, work: Callable[[], Response]) -> None:
        """In a worker thread: do the work unless it is too late, hand the response to the event loop."""
        try:
            if request.gone or time.perf_counter() > request.deadline:
                raise Problem(504, "waited too long for its turn")
            response = work()
        except Problem as problem:
            response = problem.response()
        except Exception as error:
            response = self._failed(request, error)
        self._loop.call_soon_threadsafe(self._end, request, response)

    def _read(self, request: Request) -> tuple[Model, uploads.Upload]:
        body = decompressed(request.body, request.header(b"content-encoding"), limits.UPLOAD_BYTES)
        upload = uploads.read(body, request.header(b"content-type"), request.query)
        name = upload.options.get("model") or self._default_model()
        return self._model(request, str(name)), upload

    def _end(self, request: Request, response: Response) -> None:
        self.jobs -= 1
        request.reply(response)

    def _job_room(self) -> None:
        if self.jobs >= limits.WORKER_QUEUE:
            raise busy(f"{self.jobs} requests are waiting already")

    def _default_model(self) -> str:
        names = list(self.repository.entries)
        if DEFAULT_MODEL in names or len(names) != 1:
            return DEFAULT_MODEL
        return names[0]

    def _model(self, request: Request, name: str, version: str | None = None) -> Model:
        if not self.started:
            raise unavailable("the models are still loading")
        model = self.repository.get(name, version)
        request.model, request.version = name, model.version
        return model

    # Health, metadata, statistics

    def _live(self, request: Request) -> Response:
        return to_json({"live": True, "ready": self.is_ready})

    def _ready(self, request: Request) -> Response:
        return to_json({"live": True, "ready": self.is_ready}, 200 if self.is_ready else 503)

    def _models(self, request: Request) -> Response:
        return to_json({"models": list(self.repository.entries)})

    def _model_ready(self, request: Request, name: str, version: str | None = None) -> Response:
        self._model(request, name, version)
        return to_json({"name": name, "ready": not self.leaving}, 503 if self.leaving else 200)

    def _metadata(self, request: Request, name: str, version: str | None = None) -> Response:
        return to_json(describe.metadata(self._model(request, name, version)))

    def _config(self, request: Request, name: str, version: str | None = None) -> Response:
        return to_json(describe.configuration(self._model(request, name, version)))

    def _statistics(self, request: Request, name: str = "", version: str | None = None) -> Response:
        if name:
            models = [self._model(request, name, version)]
        else:
            models = [entry.model for entry in self.repository.entries.values() if entry.model is not None]
        seen = [describe.statistics(model, self._batcher(model.name).statistics) for model in models]
        return to_json({"model_stats": seen})

    # Repository

    def _index(self, request: Request) -> Response:
        only_ready = False
        if request.body:
            only_ready = bool(oip.json_object(request.body).get("ready", False))
        return to_json(describe.index(self.repository.entries, only_ready=only_ready))

    def _load(self, request: Request, name: str) -> None:
        oip.check_load(request.body)
        self._control(request, name, self.repository.load)

    def _unload(self, request: Request, name: str) -> None:
        self._control(request, name, self.repository.unload)

    def _control(self, request: Request, name: str, change: Callable[[str], Entry]) -> None:
        if not self._model_control:
            raise Problem(403, "models are loaded and unloaded only by a server started with --model-control")
        self._submit(request, lambda: _changed(change(name)))


def _changed(entry: Entry) -> Response:
    return Problem(400, entry.reason).response() if entry.reason else Response(b"{}")
