"""What each path of the server does. All of it runs in the event loop's thread but the jobs."""

from collections.abc import Awaitable, Callable
from functools import partial

from serve.http.jobs import Jobs
from serve.http.messages import BINARY, Problem, Request, Response, decompressed, to_json
from serve.http.metrics import Metrics
from serve.http.routing import Route
from serve.inference import limits
from serve.inference.batcher import Batcher
from serve.inference.model import Model, ModelError
from serve.inference.repository import Entry, Repository
from serve.protocol import answers, describe, oip, uploads
from serve.protocol.packed import packed

DEFAULT_MODEL = "champion"


class Endpoints:
    def __init__(
        self, repository: Repository, metrics: Metrics, leaving: Callable[[], bool], *, model_control: bool
    ) -> None:
        self.repository = repository
        self.jobs = Jobs("requests", limits.WORKERS, limits.WORKER_QUEUE)
        self._metrics = metrics
        self._leaving = leaving
        self._model_control = model_control
        self._batchers: dict[str, Batcher] = {}

    def routes(self) -> list[Route]:
        model, version = "/v2/models/{}", "/v2/models/{}/versions/{}"
        infer = partial(Route, "infer", "POST", handler=self._infer, body=limits.TENSOR_BYTES, room=self._room)
        upload = partial(Route, method="POST", body=limits.UPLOAD_BYTES, room=self.jobs.check_room)
        read = partial(Route, method="GET")
        return [
            infer(path=f"{model}/infer"),
            infer(path=f"{version}/infer"),
            upload("predict", path="/predict", handler=self._predict),
            upload("explain", path="/explain", handler=self._explain),
            read("server", path="/v2", handler=lambda _: to_json(describe.SERVER)),
            read("network", path="/networks/{}/{}", handler=self._network),
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
        self.jobs.close()
        self.repository.close()

    @property
    def waiting(self) -> int:
        """Images in the queues."""
        return sum(batcher.waiting for batcher in self._batchers.values())

    @property
    def is_ready(self) -> bool:
        return not self._leaving() and self.repository.ready

    # Inference

    async def _infer(self, request: Request, name: str, version: str | None = None) -> Response:
        model = self._model(request, name, version)
        body = decompressed(request.body, request.header(b"content-encoding"), limits.TENSOR_BYTES)
        call = oip.parse(model, request.headers, body)
        request.deadline = min(request.deadline, request.started + call.seconds)
        return oip.encode(model, call, await self._batcher(name).submit(model, call.images))

    def _batcher(self, name: str) -> Batcher:
        if name not in self._batchers:
            self._batchers[name] = Batcher(self.jobs.executor, partial(self._metrics.count_run, name))
        return self._batchers[name]

    def _room(self, name: str, version: str | None = None) -> None:
        if name in self._batchers:
            self._batchers[name].check_room()

    # For people

    def _predict(self, request: Request) -> Awaitable[Response]:
        return self.jobs.run(lambda: answers.predict(*self._read(request)))

    def _explain(self, request: Request) -> Awaitable[Response]:
        return self.jobs.run(lambda: answers.explain(*self._read(request), request.header(b"accept")))

    def _read(self, request: Request) -> tuple[Model, uploads.Upload]:
        body = decompressed(request.body, request.header(b"content-encoding"), limits.UPLOAD_BYTES)
        upload = uploads.read(body, request.header(b"content-type"), request.query)
        name = upload.options.get("model") or self._default_model()
        return self._model(request, str(name)), upload

    def _default_model(self) -> str:
        names = list(self.repository.entries)
        if DEFAULT_MODEL in names or len(names) != 1:
            return DEFAULT_MODEL
        return names[0]

    def _model(self, request: Request, name: str, version: str | None = None) -> Model:
        model = self.repository.get(name, version)
        request.model, request.version = name, model.version
        return model

    async def _network(self, request: Request, name: str, version: str) -> Response:
        """A network as the page takes it: of one version, so that a browser need not ask again."""
        model = self._model(request, name, version)
        headers = {"etag": f'"{model.version}"', "cache-control": "private, max-age=31536000, immutable"}
        if request.header(b"if-none-match") == headers["etag"]:
            return Response(b"", BINARY, 304, headers)
        try:
            return await self.jobs.run(lambda: Response(packed(model), BINARY, headers=headers))
        except ModelError as error:
            raise Problem(422, str(error)) from error

    # Health, metadata, statistics

    def _live(self, request: Request) -> Response:
        return to_json({"live": True, "ready": self.is_ready})

    def _ready(self, request: Request) -> Response:
        return to_json({"live": True, "ready": self.is_ready}, 200 if self.is_ready else 503)

    def _models(self, request: Request) -> Response:
        return to_json({"models": list(self.repository.entries)})

    def _model_ready(self, request: Request, name: str, version: str | None = None) -> Response:
        self._model(request, name, version)
        leaving = self._leaving()
        return to_json({"name": name, "ready": not leaving}, 503 if leaving else 200)

    def _metadata(self, request: Request, name: str, version: str | None = None) -> Response:
        return to_json(describe.metadata(self._model(request, name, version)))

    def _config(self, request: Request, name: str, version: str | None = None) -> Response:
        return to_json(describe.configuration(self._model(request, name, version)))

    def _statistics(self, request: Request, name: str = "", version: str | None = None) -> Response:
        if name:
            models = [self._model(request, name, version)]
        else:
            models = [entry.model for entry in self.repository.entries.values() if entry.model is not None]
        seen = [describe.statistics(model, self._metrics.statistics(model.name)) for model in models]
        return to_json({"model_stats": seen})

    # Repository

    def _index(self, request: Request) -> Response:
        only_ready = False
        if request.body:
            only_ready = bool(oip.json_object(request.body).get("ready", False))
        return to_json(describe.index(self.repository.entries, only_ready=only_ready))

    def _load(self, request: Request, name: str) -> Awaitable[Response]:
        oip.check_load(request.body)
        return self._control(request, name, self.repository.load)

    def _unload(self, request: Request, name: str) -> Awaitable[Response]:
        return self._control(request, name, self.repository.unload)

    def _control(self, request: Request, name: str, change: Callable[[str], Entry]) -> Awaitable[Response]:
        if not self._model_control:
            raise Problem(403, "models are loaded and unloaded only by a server started with --model-control")
        return self.jobs.run(lambda: _changed(change(name)))


def _changed(entry: Entry) -> Response:
    return Problem(400, entry.reason).response() if entry.reason else Response(b"{}")
