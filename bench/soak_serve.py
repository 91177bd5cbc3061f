"""Load the server and swap its model meanwhile, and count what goes wrong.

    python -m bench.soak_serve                            10 minutes, 50 swaps
    python -m bench.soak_serve --minutes 2 --swaps 10

The load is 80 % of what the server was able to answer just before. Two networks take turns as the model; every answer
must be one of theirs, byte for byte. Writes bench/results/soak_serve.json.
Exit codes: 0 no answer but 200, 429 and 503 with Retry-After, and no memory lost; 1 otherwise.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from bench.processes import ROOT, SERVER_CORE, Process, memory_mb, started
from bench.soak_load import Load
from serve.inference.model import Model
from serve.protocol import oip

RESULTS = ROOT / "bench/results/soak_serve.json"
NETWORKS = ("lenet_28", "mlp_64_128")
PORT = 8302
CONNECTIONS = 16
SHARE = 0.8  # of the capacity
CAPACITY_SECONDS = 5
WARM_SECONDS = 5  # in which a fresh process may still grow
GROWTH_MB = 24
LOOK_SECONDS = 0.5
NO_FAILURES = {"200", "429", "503"}


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


def disturb(process: Process, models: Path, seconds: float, swaps: int) -> list[float]:
    """Swap the model at even distances, for that many seconds; the memory meanwhile, in MB."""
    begin, swapped = time.perf_counter(), 0
    memory: list[float] = []
    while (passed := time.perf_counter() - begin) < seconds:
        if passed > (swapped + 0.5) * seconds / max(swaps, 1) and swapped < swaps:
            swapped += 1
            swap(models, NETWORKS[swapped % len(NETWORKS)])
        if process.poll() is not None:
            raise RuntimeError(f"the server ended by itself, with status {process.returncode}")
        memory.append(memory_mb(process.pid))
        time.sleep(LOOK_SECONDS)
    return memory


def growth(samples: list[float]) -> float:
    """Megabytes from the first half of a process's life to its end, its first seconds apart."""
    settled = samples[round(WARM_SECONDS / LOOK_SECONDS) :]
    half = len(settled) // 2
    return round(statistics.median(settled[half:]) - statistics.median(settled[:half]), 1) if half else 0.0


def figures(load: Load, memory: list[float], expected: dict[bytes, str]) -> dict[str, Any]:
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
        "memory_mb": round(max(memory), 1),
        "memory_growth_mb": growth(memory),
    }


def failures(found: dict[str, Any]) -> list[str]:
    wrong = [f"{count} answers {status}" for status, count in found["statuses"].items() if status not in NO_FAILURES]
    wrong += [f"{found[name]} requests {name}" for name in ("lost", "wrong") if found[name]]
    grown = found["memory_growth_mb"]
    return wrong + ([f"memory grew by {grown} MB"] if grown > GROWTH_MB else [])


def soak(minutes: float, swaps: int) -> dict[str, Any]:
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)
    with tempfile.TemporaryDirectory(prefix="cifra-soak-") as folder:
        models, address = Path(folder), ("127.0.0.1", PORT)
        expected, request = answers(models, image), question(image)
        command = [sys.executable, "-m", "serve", "--models", folder, "--port", str(PORT), "--no-request-log"]
        health = f"http://127.0.0.1:{PORT}/v2/health/ready"
        with started(command, health, Path(folder) / "log", {}) as (process, _):
            most = capacity(address, request, expected)
            load = Load(address, request, expected, CONNECTIONS)
            load.start(SHARE * most)
            memory = disturb(process, models, 60 * minutes, swaps)
            load.stop()
        asked = {"minutes": minutes, "swaps": swaps, "connections": CONNECTIONS}
        rates = {"capacity_per_second": round(most), "asked_per_second": round(SHARE * most)}
        return asked | rates | figures(load, memory, expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--swaps", type=int, default=50)
    arguments = parser.parse_args()
    missing = [name for name in NETWORKS if not (ROOT / f"models/{name}.onnx").exists()]
    if missing:
        print(f"soak_serve: no models/{missing[0]}.onnx; run `make`", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {int(SERVER_CORE)} or {0})
    found = soak(arguments.minutes, arguments.swaps)
    RESULTS.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    failed = failures(found)
    print(f"soak_serve: {'; '.join(failed) or 'nothing lost'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
