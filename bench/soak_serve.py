"""Load the server, swap its model and restart it meanwhile, and count what goes wrong.

    python -m bench.soak_serve                                         10 minutes, 50 swaps, 5 restarts
    python -m bench.soak_serve --minutes 2 --swaps 10 --restarts 2

The load is 80 % of what the server was able to answer just before. The supervisor holds the listening socket
(`serve --fd`), so that connections wait while a server restarts. Two networks take turns as the model; every answer
must be one of theirs, byte for byte. Writes bench/results/soak_serve.json.
Exit codes: 0 no answer but 200, 429 and 503 with Retry-After, and no memory lost; 1 otherwise.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from bench.processes import ROOT, SERVER_CORE, memory_mb
from bench.soak_load import Load
from serve.inference.model import Model
from serve.protocol import oip

RESULTS = ROOT / "bench/results/soak_serve.json"
NETWORKS = ("lenet_28", "mlp_64_128")
CONNECTIONS = 16
SHARE = 0.8  # of the capacity
CAPACITY_SECONDS = 5
WARM_SECONDS = 5  # in which a fresh process may still grow
GROWTH_MB = 24
LOOK_SECONDS = 0.5
STOP_SECONDS = 30
NO_FAILURES = {"200", "429", "503"}


class Supervisor:
    """Keeps the listening socket, and one server on it."""

    def __init__(self, models: Path) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.memory_mb: list[list[float]] = []
        """Of each process in turn, twice a second."""
        self.restart_seconds: list[float] = []
        self.exits: list[int] = []
        self._models = models
        self._process = self._started()

    def restart(self) -> None:
        begin = time.perf_counter()
        self.stop()
        self._process = self._started()
        self.restart_seconds.append(time.perf_counter() - begin)

    def look(self) -> None:
        """At the memory. Raises RuntimeError for a server that has ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended by itself, with status {self._process.returncode}")
        self.memory_mb[-1].append(memory_mb(self._process.pid))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exits.append(self._process.wait(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exits.append(self._process.wait())

    def _started(self) -> "subprocess.Popen[str]":
        descriptor = self.listener.fileno()
        command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "serve", "--fd", str(descriptor)]
        process = subprocess.Popen(
            [*command, "--models", str(self._models), "--no-request-log"],
            cwd=ROOT,
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            if not re.search("serving", process.stdout.readline()):
                raise RuntimeError("the server did not start")
        self.memory_mb.append([])
        return process


@contextmanager
def supervised(models: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(models)
    try:
        yield supervisor
    finally:
        supervisor.stop()
        supervisor.listener.close()


def swap(models: Path, network: str) -> None:
    """In one step, as the pipeline's export does."""
    copy = models / ".digit.partial"
    shutil.copyfile(ROOT / f"models/{network}.onnx", copy)
    os.replace(copy, models / "digit.onnx")


def answers(models: Path, image: np.ndarray) -> dict[bytes, str]:
    """What the server must say for each network, and the version that says it."""
    expected = {}
    for network in reversed(NETWORKS):  # the first is left in place
        swap(models, network)
        model = Model.load(models / "digit.onnx")
        call = oip.Call(image, [oip.Wanted(name) for name in oip.OUTPUTS], 1)
        expected[oip.encode(model, call, model.predict(image)).body] = model.version
    return expected


def question(image: np.ndarray) -> bytes:
    tensor = {"name": "image", "shape": image.shape, "datatype": "UINT8", "data": image.tolist()}
    body = orjson.dumps({"inputs": [tensor]})
    head = f"POST /v2/models/digit/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def capacity(address: tuple[str, int], request: bytes, expected: dict[bytes, str]) -> float:
    """Answers per second to clients that ask again at once."""
    load = Load(address, request, expected, CONNECTIONS)
    load.start(None)
    time.sleep(CAPACITY_SECONDS)
    load.stop()
    return sum(load.statuses.values()) / CAPACITY_SECONDS


def disturb(supervisor: Supervisor, models: Path, seconds: float, swaps: int, restarts: int) -> None:
    """For that many seconds, everything at even distances."""
    begin = time.perf_counter()
    swapped = restarted = 0
    while (passed := time.perf_counter() - begin) < seconds:
        if passed > (swapped + 0.5) * seconds / max(swaps, 1) and swapped < swaps:
            swapped += 1
            swap(models, NETWORKS[swapped % len(NETWORKS)])
        if passed > (restarted + 0.5) * seconds / max(restarts, 1) and restarted < restarts:
            restarted += 1
            supervisor.restart()
        supervisor.look()
        time.sleep(LOOK_SECONDS)


def growth(samples: list[float]) -> float:
    """Megabytes from the first half of a process's life to its end, its first seconds apart."""
    settled = samples[round(WARM_SECONDS / LOOK_SECONDS) :]
    half = len(settled) // 2
    return round(statistics.median(settled[half:]) - statistics.median(settled[:half]), 1) if half else 0.0


def figures(load: Load, supervisor: Supervisor, expected: dict[bytes, str]) -> dict[str, Any]:
    percentiles = np.percentile(np.asarray(load.latencies_ms), [50, 99, 99.9, 100])
    return {
        "requests": len(load.latencies_ms),
        "statuses": dict(sorted(load.statuses.items())),
        "lost": load.lost,
        "wrong": load.wrong,
        "reconnected": load.reconnected,
        "answers_by_version": {expected[body]: count for body, count in load.answers.items() if body in expected},
        "latency_ms": dict(
            zip(("p50", "p99", "p99.9", "max"), [round(float(ms), 2) for ms in percentiles], strict=True)
        ),
        "restart_seconds": [round(seconds, 2) for seconds in supervisor.restart_seconds],
        "exits": supervisor.exits,
        "memory_mb": [round(max(samples), 1) for samples in supervisor.memory_mb if samples],
        "memory_growth_mb": [growth(samples) for samples in supervisor.memory_mb],
    }


def failures(found: dict[str, Any]) -> list[str]:
    wrong = [f"{count} answers {status}" for status, count in found["statuses"].items() if status not in NO_FAILURES]
    wrong += [f"{found[name]} requests {name}" for name in ("lost", "wrong") if found[name]]
    wrong += [f"the server ended with status {status}" for status in found["exits"] if status]
    wrong += [f"memory grew by {grown} MB" for grown in found["memory_growth_mb"] if grown > GROWTH_MB]
    return wrong


def soak(minutes: float, swaps: int, restarts: int) -> dict[str, Any]:
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)
    with tempfile.TemporaryDirectory(prefix="cifra-soak-") as folder:
        models = Path(folder)
        expected, request = answers(models, image), question(image)
        with supervised(models) as supervisor:
            address = supervisor.listener.getsockname()[:2]
            most = capacity(address, request, expected)
            load = Load(address, request, expected, CONNECTIONS)
            load.start(SHARE * most)
            disturb(supervisor, models, 60 * minutes, swaps, restarts)
            load.stop()
        asked = {"minutes": minutes, "swaps": swaps, "restarts": restarts, "connections": CONNECTIONS}
        rates = {"capacity_per_second": round(most), "asked_per_second": round(SHARE * most)}
        return asked | rates | figures(load, supervisor, expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=5)
    arguments = parser.parse_args()
    missing = [name for name in NETWORKS if not (ROOT / f"models/{name}.onnx").exists()]
    if missing:
        print(f"soak_serve: no models/{missing[0]}.onnx; run `make`", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {int(SERVER_CORE)} or {0})
    found = soak(arguments.minutes, arguments.swaps, arguments.restarts)
    RESULTS.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    failed = failures(found)
    print(f"soak_serve: {'; '.join(failed) or 'nothing lost'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
