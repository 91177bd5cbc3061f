"""Counts for Prometheus, over all workers. Clients' names for things become labels only where the server knows them."""

import os
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serve.http.settings import SHARED
from serve.inference.repository import Entry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass
class Statistics:
    """Of one model since the server started."""

    answered: int = 0
    failed: int = 0
    images: int = 0
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    last: float = 0.0
    """When it last answered, in seconds since 1970."""
    batches: Tally[int] = field(default_factory=Tally)
    """Number of runs by number of images."""


class Metrics:
    def __init__(self) -> None:
        self._registry = self._seen = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self._registry), partial(Gauge, registry=self._registry)
        if SHARED in os.environ:
            self._seen = CollectorRegistry()
            MultiProcessCollector(self._seen)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self._registry)
        self._requests = counter("cifra_requests", "Requests answered.", ("route", "status", "model"))
        self._seconds = Histogram(
            "cifra_request_seconds", "From a request's headers to its answer.", ("route",),
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._inferences = counter("cifra_inferences", "Requests that reached the network.", ("model", "outcome"))
        self._runs = counter("cifra_runs", "Runs of the network, by number of images.", ("model", "images"))
        self._images = counter("cifra_images", "Images answered.", ("model",))
        self._queued = counter("cifra_queue_seconds", "Seconds that requests waited for their run.", ("model",))
        self._ran = counter("cifra_run_seconds", "Seconds of runs.", ("model",))
        self._last = gauge(
            "cifra_last_run", "When it last ran, in seconds since 1970.", ("model",), multiprocess_mode="max"
        )
        live = partial(gauge, multiprocess_mode="livemax")
        self._versions = live("cifra_model", "1 for each version that answers.", ("model", "version"))
        self._refused = live("cifra_model_file_refused", "1 where the newest file is not served.", ("model",))
        self._answered: set[tuple[str, str]] = set()
        self._read: list[tuple[Gauge, Callable[[], float]]] = []
        # Looking a label up costs more than counting.
        self._request = lru_cache(maxsize=None)(self._requests.labels)
        self._route = lru_cache(maxsize=None)(self._seconds.labels)
        self._run = lru_cache(maxsize=None)(self._runs.labels)
        self._of_model = lru_cache(maxsize=None)(self._counts)

    def count(self, route: str, model: str, status: int, seconds: float) -> None:
        self._request(route, status, model).inc()
        self._route(route).observe(seconds)

    def count_run(
        self, model: str, requests: int, images: int, queue_seconds: float, run_seconds: float, *, failed: bool
    ) -> None:
        inferences, answered, queued, ran, last = self._of_model(model, failed)
        inferences.inc(requests)
        answered.inc(0 if failed else images)
        queued.inc(queue_seconds)
        ran.inc(run_seconds)
        last.set(time.time())
        self._run(model, images).inc()

    def _counts(self, model: str, failed: bool) -> tuple[Counter, Counter, Counter, Counter, Gauge]:
        return (
            self._inferences.labels(model, "failed" if failed else "answered"),
            self._images.labels(model),
            self._queued.labels(model),
            self._ran.labels(model),
            self._last.labels(model),
        )

    def statistics(self, model: str) -> Statistics:
        found = Statistics()
        for metric in self._seen.collect():
            for sample in metric.samples:
                if sample.labels.get("model") == model:
                    _add(found, sample.name, sample.labels, sample.value)
        return found

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A number of this worker, read now and then."""
        self._read.append((Gauge(name, text, registry=self._registry, multiprocess_mode="livesum"), read))

    def update(self) -> None:
        for gauge, read in self._read:
            gauge.set(read())

    def show_models(self, entries: Mapping[str, Entry]) -> None:
        for name, version in self._answered:
            self._versions.labels(name, version).set(0)
        for name, entry in entries.items():
            self._refused.labels(name).set(bool(entry.reason))
            if entry.model is not None:
                self._answered.add((name, entry.model.version))
                self._versions.labels(name, entry.model.version).set(1)

    def text(self) -> bytes:
        self.update()
        return generate_latest(self._seen)


def _add(found: Statistics, name: str, labels: Mapping[str, str], value: float) -> None:
    match name:
        case "cifra_inferences_total" if labels["outcome"] == "failed":
            found.failed = int(value)
        case "cifra_inferences_total":
            found.answered = int(value)
        case "cifra_runs_total":
            found.batches[int(labels["images"])] = int(value)
        case "cifra_images_total":
            found.images = int(value)
        case "cifra_queue_seconds_total":
            found.queue_seconds = value
        case "cifra_run_seconds_total":
            found.run_seconds = value
        case "cifra_last_run":
            found.last = value
