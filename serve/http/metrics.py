"""Counts for Prometheus. The clients' names for things become labels only where the server knows them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BOUNDS = [*map(str, SECONDS), "+Inf"]


class Durations:
    """A histogram of one route."""

    def __init__(self) -> None:
        self.counts = [0] * len(BOUNDS)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.seconds += seconds


class Requests(Collector):
    """Counted in the event loop's thread alone, which spares the locks of prometheus_client's own counters."""

    def __init__(self) -> None:
        self._answered: Counter[tuple[str, str, int]] = Counter()
        self._durations: dict[str, Durations] = {}

    def count(self, route: str, model: str, status: int, seconds: float) -> None:
        self._answered[route, model, status] += 1
        durations = self._durations.get(route)
        if durations is None:
            durations = self._durations[route] = Durations()
        durations.add(seconds)

    def collect(self) -> Iterator[Metric]:
        answered = CounterMetricFamily("cifra_requests", "Requests answered.", labels=("route", "status", "model"))
        for (route, model, status), count in self._answered.items():
            answered.add_metric((route, str(status), model), count)
        yield answered
        text = "From a request's headers to its answer."
        histogram = HistogramMetricFamily("cifra_request_seconds", text, labels=("route",))
        for route, durations in self._durations.items():
            buckets = list(zip(BOUNDS, map(float, accumulate(durations.counts)), strict=True))
            histogram.add_metric((route,), buckets, durations.seconds)
        yield histogram


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        requests = Requests()
        registry.register(requests)
        self.count = requests.count
        self._models = Gauge("cifra_model", "1 for each version that answers.", ("model", "version"), registry=registry)
        self._failed = Gauge(
            "cifra_model_file_refused",
            "1 where the newest file is not served.",
            ("model",),
            registry=registry,
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number read when asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

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
