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
from tests.serve.running import ROOT, Client, infer_body, process, wait_for

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


def test_a_restart_on_an_inherited_socket_refuses_nobody(models_dir: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = ("--models", str(models_dir / "mlp.onnx"), "--fd", str(listener.fileno()))
        client = Client(listener.getsockname()[1])
        with process(tmp_path, *arguments, descriptor=listener.fileno()) as first:
            assert first.client.port == client.port
            assert client("GET", "/v2").status == 200
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(10) == 0
        with client.connect() as waiting:
            waiting.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with process(tmp_path, *arguments, descriptor=listener.fileno()):
                assert waiting.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_descriptor_must_be_a_socket_that_listens(kind: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(type=kind) as idle:
        assert cli.main(["--fd", str(idle.fileno())]) == 2
    assert "no TCP socket that listens" in capsys.readouterr().err


def test_a_descriptor_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--fd", "999"]) == 1
    assert "cannot listen on --fd 999" in capsys.readouterr().err


def test_an_inherited_socket_of_the_network_needs_a_key(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("", 0)) as listener:
        assert cli.main(["--models", str(models_dir), "--fd", str(listener.fileno())]) == 2
    assert "anybody could ask" in capsys.readouterr().err


def test_an_idle_client_may_ask_once_more_while_the_server_drains(models_dir: Path, tmp_path: Path) -> None:
    request = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with process(tmp_path, "--models", str(models_dir / "mlp.onnx")) as found, found.client.connect() as idle:
        idle.sendall(request)
        assert b"connection: close" not in idle.recv(65536)
        found.process.send_signal(signal.SIGTERM)
        wait_for(lambda: b"stopping" in found.log.read_bytes())
        time.sleep(0.2)
        idle.sendall(request)
        answer = idle.recv(65536)
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


@pytest.mark.slow
def test_live_at_once_ready_when_loaded(tmp_path: Path, images: Make) -> None:
    """While the files load, the server is alive, not ready, and says so to whoever asks."""
    save(tmp_path, "lenet_28", lenet(0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = (
        "import sys, time, serve.inference.repository as r; from serve.__main__ import main\n"
        "load = r.Model.load\n"
        "r.Model.load = lambda *a, **k: (time.sleep(1), load(*a, **k))[1]\n"
        f"sys.exit(main(['--port', '{port}', '--models', {str(tmp_path)!r}]))"
    )
    client = Client(port)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            wait_for(lambda: _listens(port))
            assert client("GET", "/v2/health/live").status == 200
            assert client("GET", "/v2/health/ready").status == 503
            reply = client("POST", INFER, infer_body(images()))
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            wait_for(lambda: client("GET", "/v2/health/ready").status == 200)
        finally:
            child.terminate()
        assert child.wait(10) == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


def test_nothing_to_serve_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = _complaint(capsys, "--models", str(tmp_path), "--port", "0")
    assert (status, "no ONNX file in" in text) == (1, True)
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    status, text = _complaint(capsys, "--models", str(tmp_path), "--port", "0")
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


def test_a_registry_without_mlflow_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    status, text = _complaint(capsys, "--models", "models:/cifra@champion", "--port", "0")
    assert (status, "pip install mlflow" in text) == (1, True)


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
