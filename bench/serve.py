"""Cifra's server beside the ones people would otherwise take: requests per second on one core.

    python -m bench.serve                     everything; needs wrk, and pip for the peers' environments
    python -m bench.serve --only cifra fastapi --rounds 1
    python -m bench.serve --rounds 1 --add    one more round, beside those of bench/results/serve.json
    python -m bench.serve --prepare kserve    an environment for the test with KServe's client

Each server has one worker and an environment of its own under bench/.venvs, and runs alone on core 0; wrk runs
on core 1 and sends the same image over and over. Rounds are interleaved, medians are shown.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import serve_report
from bench.environments import ENVIRONMENTS, prepare, python_of
from bench.processes import ROOT, SERVER_CORE, DidNotStart, cpu_seconds, memory_mb, started
from bench.serve_report import Result, Results
from serve.inference.model import Model

HERE = Path(__file__).parent
WORK = HERE / ".work"
LOG = WORK / "server.log"
PORT = 8301
BASE = f"http://127.0.0.1:{PORT}"
CLIENT_CORE = "1"
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONPATH": str(HERE / "peers"),
}


@dataclass(frozen=True)
class Question:
    """One prepared request, and with how many connections it is asked."""

    path: str
    body: bytes
    connections: tuple[int, ...] = (16,)
    headers: tuple[str, ...] = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Server:
    command: list[str]
    questions: dict[str, Question]
    health: str = "/"


def servers(model: Path, image: np.ndarray) -> dict[str, Server]:
    """[1, 1, 28, 28] of uint8 as each server wants to be asked."""
    nested = image.tolist()
    tensor: dict[str, Any] = {"name": "image", "shape": list(image.shape), "datatype": "UINT8"}
    oip = json.dumps({"inputs": [{**tensor, "data": nested}]}, separators=(",", ":")).encode()
    plain = json.dumps({"image": nested}, separators=(",", ":")).encode()
    mlflow = json.dumps({"inputs": {"image": nested}}, separators=(",", ":")).encode()
    sized = {**tensor, "parameters": {"binary_data_size": image.nbytes}}
    head = json.dumps({"inputs": [sized], "parameters": {"binary_data_output": True}}).encode()
    infer = f"/v2/models/{model.stem}/infer"
    binary_header = ("Inference-Header-Content-Length", str(len(head)))
    port, python = str(PORT), {name: str(python_of(name)) for name in ENVIRONMENTS}
    cifra = {
        "OIP binary": Question(infer, head + image.tobytes(), (64, 1, 16), binary_header),
        "OIP JSON": Question(infer, oip, (64, 1, 16)),  # the compared one next to the peers, as machines drift
    }
    bentoml = ["-m", "bentoml", "serve", "bentoml_app:Network", "--port", port, "--host", "127.0.0.1"]
    uvicorn = ["-m", "uvicorn", "fastapi_app:app", "--port", port, "--no-access-log", "--log-level", "error"]
    mlflow_serve = ["-m", "mlflow", "models", "serve", "-m", str(WORK / "mlflow"), "-p", port, "--env-manager", "local"]
    return {
        "cifra": Server(
            [python["cifra"], "-m", "serve", "--models", str(model), "--port", port], cifra, "/v2/health/ready"
        ),
        "fastapi": Server(
            [python["fastapi"], *uvicorn],
            {"JSON, async def": Question("/predict_in_loop", plain), "JSON, def": Question("/predict", plain)},
            "/docs",
        ),
        "mlserver": Server(
            [python["mlserver"].replace("bin/python", "bin/mlserver"), "start", str(HERE / "peers/mlserver")],
            {"OIP JSON": Question("/v2/models/network/infer", oip)},
            "/v2/health/ready",
        ),
        "litserve": Server(
            [python["litserve"], str(HERE / "peers/litserve_app.py"), port],
            {"JSON": Question("/predict", plain)},
            "/health",
        ),
        "mlflow": Server(
            [python["mlflow"], *mlflow_serve, "--workers", "1"], {"JSON": Question("/invocations", mlflow)}, "/health"
        ),
        "bentoml": Server([python["bentoml"], *bentoml], {"JSON": Question("/predict", plain)}, "/readyz"),
    }


def check(server: str, question: Question, expected: int) -> None:
    """The answer is the network's, and a 200."""
    headers = dict(zip(question.headers[::2], question.headers[1::2], strict=True))
    request = urllib.request.Request(BASE + question.path, question.body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            body = reply.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"bench: {server} answers {error.code}: {error.read()[:500]!r}") from error
    if "Content-Type" in headers and _label(json.loads(body)) != expected:
        raise SystemExit(f"bench: {server} gives another answer than the network: {body[:300]!r}")


def _label(answer: dict[str, Any]) -> int:
    answer = answer.get("predictions", answer)
    if "outputs" in answer:
        answer = {output["name"]: output["data"] for output in answer["outputs"]}
    return int(np.argmax(np.ravel(answer["logits"])))


def load(question: Question, connections: int, seconds: int) -> dict[str, float]:
    """What wrk says."""
    body = WORK / "body"
    body.write_bytes(question.body)
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(HERE / "request.lua"), BASE + question.path, "--", str(body), *question.headers]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def measure(name: str, server: Server, model: Path, expected: int, seconds: int, results: Results) -> None:
    environment = {**QUIET, "MODEL": str(model)}
    with started(server.command, BASE + server.health, LOG, environment) as (process, start):
        for title, question in server.questions.items():
            check(name, question, expected)
            load(question, 8, 1)  # warm
            for connections in question.connections:
                before = cpu_seconds(process.pid)
                found = load(question, connections, seconds)
                if found["failed"]:
                    raise SystemExit(f"bench: {name} failed {found['failed']} requests, see {LOG}")
                used = cpu_seconds(process.pid) - before
                key = name, title, connections
                result = results.setdefault(key, Result(*key))
                result.requests_per_second.append(found["requests"] / found["seconds"])
                result.p50_ms.append(found["p50_ms"])
                result.p99_ms.append(found["p99_ms"])
                result.cpu_us_per_request.append(used / found["requests"] * 1e6)
                result.memory_mb.append(memory_mb(process.pid))
                result.start_seconds.append(start)


def run_microseconds(model: Path) -> float:
    """What ONNX Runtime alone takes for one image, in the server's environment and on its core."""
    code = (
        "import sys, time, numpy; from serve.inference.model import Model\n"
        "model = Model.load(sys.argv[1]); image = numpy.full((1, 1, 28, 28), 100, numpy.uint8)\n"
        "best = 1.0\n"
        "for _ in range(20):\n"
        "    begin = time.process_time()\n"
        "    for _ in range(500): model.predict(image)\n"
        "    best = min(best, (time.process_time() - begin) / 500)\n"
        "print(best * 1e6)"
    )
    command = ["taskset", "-c", SERVER_CORE, str(python_of("cifra")), "-c", code, str(model)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def write_mlflow_model(model: Path) -> None:
    shutil.rmtree(WORK / "mlflow", ignore_errors=True)
    command = [str(python_of("mlflow")), str(HERE / "peers/mlflow_model.py"), str(WORK / "mlflow")]
    subprocess.run(command, env={**os.environ, **QUIET, "MODEL": str(model)}, check=True, capture_output=True)


def main() -> int:
    arguments = _arguments()
    if arguments.prepare:
        prepare(arguments.prepare)
        return 0
    missing = [tool for tool in ("wrk", "taskset") if shutil.which(tool) is None]
    if missing or not arguments.model.exists():
        what = (
            f"needs {' and '.join(missing)} (apt-get install wrk)" if missing else f"no {arguments.model}; run `make`"
        )
        print(f"bench: {what}", file=sys.stderr)
        return 2
    WORK.mkdir(exist_ok=True)
    model = arguments.model.resolve()
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)
    expected = int(Model.load(model).predict(image).logits.argmax())
    chosen = {name: server for name, server in servers(model, image).items() if name in arguments.only}
    for name in chosen:
        prepare(name)
    if "mlflow" in chosen:
        write_mlflow_model(model)
    results: Results = serve_report.earlier(arguments.seconds, model.stem) if arguments.add else {}
    for number in range(arguments.rounds):
        for name, server in chosen.items():
            print(f"round {number + 1} of {arguments.rounds}: {name}", flush=True)
            try:
                measure(name, server, model, expected, arguments.seconds, results)
            except DidNotStart as error:
                print(f"bench: {name} did not start; its last words:\n{error}", file=sys.stderr)
                return 1
    conditions = {"seconds": arguments.seconds, "note": arguments.note, "model": model.stem}
    serve_report.write(list(results.values()), run_microseconds(model), conditions)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = [name for name in ENVIRONMENTS if name != "kserve"]
    add("--model", type=Path, default=ROOT / "models/lenet_28.onnx", help="default: models/lenet_28.onnx")
    add("--only", nargs="+", default=names, choices=names, help="measure these servers only")
    add("--rounds", type=int, default=3)
    add("--seconds", type=int, default=5, help="of load, per server, question and round (default: 5)")
    add("--add", action="store_true", help="keep the rounds measured before, where model and seconds are the same")
    add("--note", default="", help="a sentence for below the table, such as what else the machine did")
    add("--prepare", choices=list(ENVIRONMENTS), help="make this environment and stop")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
