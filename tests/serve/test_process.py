"""The server as a process: its command line, signals, and what it imports."""

import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

import serve
from serve import __main__ as cli
from tests.serve.networks import lenet, save
from tests.serve.running import ROOT, infer_body, process, wait_for

Make = Callable[..., np.ndarray]
INFER = "/v2/models/lenet_28/infer"
HEAVY = ("torch", "torchvision", "mlflow", "dvc", "matplotlib", "requests", "pandas", "sklearn", "stages")


def test_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert serve.__version__ == project["version"]
    assert orjson.loads((ROOT / "serve/docs/openapi.json").read_bytes())["info"]["version"] == serve.__version__


def test_nothing_heavy_is_imported(models_dir: Path) -> None:
    code = (
        "import sys, serve.__main__, serve.predict, serve.inference.layers, serve.inference.model\n"
        f"serve.inference.model.Model.load({str(models_dir / 'lenet_28.onnx')!r})\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_it_starts_answers_and_stops(models_dir: Path, tmp_path: Path, images: Make) -> None:
    started = time.perf_counter()
    with process(tmp_path, "--models", str(models_dir)) as found:
        assert time.perf_counter() - started < 5
        assert found.client("POST", INFER, infer_body(images())).status == 200
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(10) == 0
        lines = [orjson.loads(line) for line in found.log.read_bytes().splitlines()]
    assert any(line.get("path") == INFER and line["status"] == 200 for line in lines)
    assert {"event": "stopping"}.items() <= lines[-1].items()


def test_one_file_on_loopback_only(models_dir: Path, tmp_path: Path) -> None:
    with process(tmp_path, "--models", str(models_dir / "mlp.onnx")) as found:
        assert found.client("GET", "/v2/models").json == {"models": ["mlp"]}
        with socket.socket() as elsewhere:
            address = socket.gethostbyname(socket.gethostname())
            if not address.startswith("127."):
                assert elsewhere.connect_ex((address, found.client.port)) != 0


def test_sigterm_answers_what_was_accepted(models_dir: Path, tmp_path: Path, images: Make) -> None:
    """An upload under way is answered; an idle connection is let go; new ones are refused; exit 0."""
    body = orjson.dumps(infer_body(images()))
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with process(tmp_path, "--models", str(models_dir)) as found:
        with found.client.connect() as uploading, found.client.connect() as idle:
            idle.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200")
            uploading.sendall(head + body[:100])
            time.sleep(0.1)
            found.process.send_signal(signal.SIGTERM)
            assert idle.recv(65536) == b""
            with pytest.raises(ConnectionRefusedError):
                found.client.connect()
            uploading.sendall(body[100:])
            answer = b"".join(iter(lambda: uploading.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer
        assert found.process.wait(10) == 0


@pytest.mark.slow
def test_readiness_ends_before_the_socket_closes(models_dir: Path, tmp_path: Path, images: Make) -> None:
    with process(tmp_path, "--models", str(models_dir), "--drain-seconds", "1.5") as found:
        found.process.send_signal(signal.SIGTERM)
        wait_for(lambda: found.client("GET", "/v2/health/ready").status == 503, 1)
        assert found.client("GET", "/v2/health/live").json == {"live": True, "ready": False}
        assert found.client("GET", "/v2/models/lenet_28/ready").status == 503
        assert found.client("POST", INFER, infer_body(images())).status == 200
        assert found.process.wait(10) == 0


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(models_dir: Path, tmp_path: Path) -> None:
    with process(tmp_path, "--models", str(models_dir), "--drain-seconds", "60") as found:
        found.process.send_signal(signal.SIGINT)
        wait_for(lambda: found.client("GET", "/v2/health/ready").status == 503)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(5) == 0


@pytest.mark.slow
def test_new_exports_are_picked_up_by_looking_and_by_sighup(tmp_path: Path) -> None:
    save(tmp_path, "lenet_28", lenet(0))
    with process(tmp_path, "--models", str(tmp_path)) as found:

        def version() -> str:
            return found.client("GET", "/v2/models/lenet_28").json["versions"][0]

        first = version()
        save(tmp_path, "lenet_28", lenet(1))
        wait_for(lambda: version() != first, 5)
        (tmp_path / "lenet_28.onnx").write_bytes(b"nonsense")
        found.process.send_signal(signal.SIGHUP)
        wait_for(lambda: found.client("POST", "/v2/repository/index").json[0]["reason"] != "", 5)
        assert version() != first
        wait_for(lambda: b"goes on: lenet_28.onnx: not an ONNX file" in found.log.read_bytes())


def _complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = cli.main(list(arguments))
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return status, text


def test_a_port_in_use_is_one_line(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, text = _complaint(capsys, "--models", str(models_dir), "--port", port)
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in text
    assert "--port" in text


def test_a_missing_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = _complaint(capsys, "--models", "nowhere")
    assert (status, "nowhere: no such file or directory" in text) == (2, True)


def _refused(*arguments: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "serve", "--port", "0", *arguments]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_to_serve_is_one_line(tmp_path: Path, workers: str) -> None:
    status, text = _refused("--models", str(tmp_path), "--workers", workers)
    assert (status, "no ONNX file in" in text) == (1, True)
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    status, text = _refused("--models", str(tmp_path), "--workers", workers)
    assert (status, "bad.onnx: not an ONNX file" in text) == (1, True)


def test_other_addresses_need_a_key_or_a_word(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = _complaint(capsys, "--models", str(models_dir), "--host", "0.0.0.0")
    assert status == 2
    assert "--api-key-file" in text


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--threads", "0"), ("--api-key-file", "nowhere")])
def test_bad_settings_are_one_line(
    arguments: tuple[str, str], models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = _complaint(capsys, "--models", str(models_dir), *arguments)
    assert (status, arguments[0] in text) == (2, True)


@pytest.mark.slow
def test_keys_come_from_a_file_or_the_environment(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("from-file\n\n")
    arguments = ("--models", str(models_dir), "--host", "0.0.0.0", "--api-key-file", str(tmp_path / "keys"))
    with process(tmp_path, *arguments, CIFRA_API_KEY="from-environment") as found:
        assert found.client("GET", "/v2").status == 401
        for key in ("from-file", "from-environment"):
            assert found.client("GET", "/v2", x_api_key=key).status == 200


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in ("--host", "--port", "--models", "--api-key-file", "predict digit.png"):
        assert word in text


def test_a_registry_without_mlflow_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text("raise ImportError")
    status, text = _refused("--models", "models:/cifra@champion", PYTHONPATH=str(tmp_path))
    assert (status, "pip install mlflow" in text) == (1, True)


def test_model_control_and_several_workers_do_not_go_together(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = _complaint(capsys, "--models", str(models_dir), "--workers", "2", "--model-control")
    assert (status, "--workers" in text) == (2, True)


@pytest.mark.slow
def test_a_slow_log_reader_stops_nothing(models_dir: Path, tmp_path: Path) -> None:
    """Standard error is a pipe that nobody reads: the server answers on, and ends when it is told to."""
    command = [sys.executable, "-m", "serve", "--port", "0", "--models", str(models_dir)]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, cwd=ROOT, env=usual, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline().decode().split("http://127.0.0.1:")[1].split()[0])
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = b"GET /v2/" + b"x" * 190 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
                for _ in range(60):
                    connection.sendall(request * 20)
                    received = 0
                    while received < 20:
                        received += connection.recv(65536).count(b"HTTP/1.1 404")
        finally:
            child.terminate()
            assert child.wait(10) == 0
