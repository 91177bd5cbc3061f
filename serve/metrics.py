"""Counts for Prometheus. The clients' names for things become labels only where the server knows them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("route", "status", "model")
        self._requests = Counter("cifra_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "cifra_request_seconds",
            "From a request's headers to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._models = Gauge("cifra_model", "1 for each version that answers.", ("model", "version"), registry=registry)
        self._failed = Gauge(
            "cifra_model_file_refused",
            "1 where the newest file is not served.",
            ("model",),
            registry=registry,
        )
        self._children: dict[tuple[str, int, str], Callable[[], None]] = {}
        self._observers: dict[str, Callable[[float], None]] = {}

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number read when asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def count(self, route: str, model: str, status: int, seconds: float) -> None:
        key = route, status, model
        increment = self._children.get(key)
        if increment is None:
            child = self._requests.labels(route, str(status), model)
            increment = self._children[key] = child.inc
            self._observers[route] = self._seconds.labels(route).observe
        increment()
        self._observers[route](seconds)

    def show_models(self, models: dict[str, tuple[str, bool]]) -> None:
        """Names to (version or "", whether the newest file was refused)."""
        self._models.clear()
        self._failed.clear()
        for name, (version, refused) in models.items():
            self._failed.labels(name).set(refused)
            if version:
                self._models.labels(name, version).set(1)

    def text(self) -> bytes:
        return generate_latest(self._registry)
