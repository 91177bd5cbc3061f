"""The servers' results as JSON, and from that a Markdown table and a chart: `python -m bench.serve_report`."""

import json
import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime

from bench.environments import SHOWN, megabytes, version

RESULTS = Path(__file__).parent / "results"
NAMES = {
    "cifra": "Cifra",
    "fastapi": "FastAPI by hand",
    "mlserver": "MLServer",
    "litserve": "LitServe",
    "mlflow": "mlflow models serve",
    "bentoml": "BentoML",
}
COMPARED = 16  # connections


@dataclass
class Result:
    """Of one server, one question and one number of connections; a number per round."""

    server: str
    question: str
    connections: int
    requests_per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us_per_request: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    start_seconds: list[float] = field(default_factory=list)

    def median(self, name: str) -> float:
        return float(statistics.median(getattr(self, name)))


def times_as_fast(ours: Result, theirs: Result) -> float:
    """The median over rounds: what a machine does from one minute to the next is in both."""
    pairs = zip(ours.requests_per_second, theirs.requests_per_second, strict=False)
    return float(statistics.median(one / other for one, other in pairs))


Results = dict[tuple[str, str, int], Result]


def earlier(seconds: int, model: str) -> Results:
    """The results written before, if they were measured the same way."""
    file = RESULTS / "serve.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    if (found.get("seconds"), found.get("model")) != (seconds, model):
        return {}
    results = [Result(**result) for result in found["results"]]
    return {(result.server, result.question, result.connections): result for result in results}


def write(results: list[Result], run_us: float, conditions: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    names = list(dict.fromkeys(result.server for result in results))
    found = {
        "rounds": min(len(result.requests_per_second) for result in results),
        **conditions,
        **_machine(),
        "versions": {name: version(name) for name in names if name in SHOWN},
        "environment_mb": {name: megabytes(name) for name in names},
        "onnxruntime_us_per_image": round(run_us, 1),
        "results": [_rounded(result) for result in results],
    }
    (RESULTS / "serve.json").write_text(json.dumps(found, indent=2) + "\n")
    draw()


def draw() -> None:
    """The table and the chart from the JSON file."""
    found = json.loads((RESULTS / "serve.json").read_text())
    results = [Result(**result) for result in found["results"]]
    table = _table(results, found)
    (RESULTS / "serve.md").write_text(table)
    print(table)
    _chart(results)


def _machine() -> dict[str, Any]:
    processor = platform.processor()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _rounded(result: Result) -> dict[str, Any]:
    return {
        name: [round(number, 3) for number in value] if isinstance(value, list) else value
        for name, value in asdict(result).items()
    }


def _table(results: list[Result], found: Mapping[str, Any]) -> str:
    first = next((r for r in results if (r.server, r.question, r.connections) == ("cifra", "OIP JSON", COMPARED)), None)
    lines = [
        "| server | question | connections | requests/s | Cifra is | p50 ms | p99 ms | CPU µs | memory MB | start s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for result in sorted(results, key=lambda r: (r.server != "cifra", -r.median("requests_per_second"))):
        rate = result.median("requests_per_second")
        times = f"{times_as_fast(first, result):.1f} ×" if first and result.server != "cifra" else ""
        cells = [
            NAMES[result.server], result.question, str(result.connections), f"{rate:,.0f}", times,
            f"{result.median('p50_ms'):.2f}", f"{result.median('p99_ms'):.2f}",
            f"{result.median('cpu_us_per_request'):.0f}", f"{result.median('memory_mb'):.0f}",
            f"{result.median('start_seconds'):.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", _caption(found), ""]
    return "\n".join(lines)


def _caption(found: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"`{found['model']}`, one image per request, one worker, server and wrk on one core each of "
        f"{found['processor']}; medians of {found['rounds']} or more interleaved rounds of {found['seconds']} s. "
        "CPU is the server's, per request, of which ONNX Runtime takes "
        f"{found['onnxruntime_us_per_image']:.0f} µs for a single image. "
        f"Python {found['python']}, ONNX Runtime {found['onnxruntime']}; {versions}. "
        f"Cifra's environment takes {found['environment_mb'].get('cifra', 0)} MB. {found['note']}"
    ).rstrip()


def _chart(results: list[Result]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [result for result in results if result.connections == COMPARED]
    shown.sort(key=lambda result: result.median("requests_per_second"))
    rates = [result.median("requests_per_second") for result in shown]
    labels = [f"{NAMES[result.server]}, {result.question}" for result in shown]
    colours = ["#0b5cad" if result.server == "cifra" else "#a8a5a0" for result in shown]
    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(shown) + 1.2), layout="constrained")
    axes.bar_label(axes.barh(labels, rates, color=colours), [f"{rate:,.0f}" for rate in rates], padding=4)
    axes.set(xlabel=f"requests per second on one core, {COMPARED} connections", xlim=(0, 1.15 * max(rates)))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "serve.png", dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    draw()
