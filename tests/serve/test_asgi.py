"""The application under other servers, in another application, and in several processes."""

import datetime
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serve import __main__ as cli
from serve.inference import limits
from tests.serve.running import ROOT, Client, infer_body, listens, process, wait_for

Make = Callable[..., np.ndarray]
INFER = "/v2/models/lenet_28/infer"
MOUNTED = """
from starlette.applications import Starlette
from starlette.routing import Mount
from serve.http.app import App
from serve.http.settings import Settings

digits = App(Settings(models=({models!r},)))
app = Starlette(routes=[Mount("/digits", digits)], lifespan=lambda _: digits.lifespan())
"""


@contextmanager
def command(directory: Path, *arguments: str) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", *arguments, "--port", str(port)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{directory}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            wait_for(lambda: listens(port) or child.poll() is not None, 20)
            yield Client(port)
        finally:
            child.terminate()
            child.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "server",
    [("uvicorn", "--factory"), ("granian", "--interface", "asgi", "--factory")],
    ids=["uvicorn", "granian"],
)
def test_any_server_runs_it(server: tuple[str, ...], models_dir: Path, tmp_path: Path, images: Make) -> None:
    (tmp_path / "models").symlink_to(models_dir)
    with command(tmp_path, *server, "serve.http.app:App") as client:
        assert client("GET", "/v2/health/ready").json == {"live": True, "ready": True}
        assert client("POST", INFER, infer_body(images(3))).json["outputs"][0]["shape"] == [3, 10]
        assert client("GET", "/").headers["content-type"].startswith("text/html")


@pytest.mark.slow
def test_any_application_mounts_it(models_dir: Path, tmp_path: Path, images: Make) -> None:
    (tmp_path / "mounting.py").write_text(MOUNTED.format(models=str(models_dir)))
    with command(tmp_path, "uvicorn", "mounting:app") as client:
        assert client("POST", f"/digits{INFER}", infer_body(images())).status == 200
        assert client("GET", "/digits/v2/health/ready").status == 200
        assert client("GET", "/v2/health/ready").status == 404


@pytest.mark.slow
def test_workers_count_together(models_dir: Path, tmp_path: Path, images: Make) -> None:
    with process(tmp_path, "--models", str(models_dir / "lenet_28.onnx"), "--workers", "2") as found:
        replies = [found.client("POST", INFER, infer_body(images(2))) for _ in range(60)]
        assert {reply.status for reply in replies} == {200}
        assert len({reply.headers["x-request-id"].partition("-")[0] for reply in replies}) == 2
        for _ in range(5):
            (seen,) = found.client("GET", "/v2/models/lenet_28/stats").json["model_stats"]
            assert (seen["inference_count"], seen["inference_stats"]["success"]["count"]) == (120, 60)
            text = found.client("GET", "/metrics").body.decode()
            assert 'cifra_requests_total{model="lenet_28",route="infer",status="200"} 60.0' in text
        until = time.monotonic() + 10  # each worker tells its queue now and then
        while "cifra_images_waiting 0.0" not in (text := found.client("GET", "/metrics").body.decode()):
            assert time.monotonic() < until, text
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(20) == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(models_dir: Path, tmp_path: Path) -> None:
    with process(tmp_path, "--models", str(models_dir / "mlp.onnx")) as found:
        (worker,) = Path(f"/proc/{found.process.pid}/task/{found.process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        wait_for(lambda: not listens(found.client.port))
        wait_for(lambda: listens(found.client.port), 20)
        assert found.client("GET", "/v2/health/ready").status == 200


@pytest.mark.slow
def test_no_worker_outlives_the_process_above_it(models_dir: Path, tmp_path: Path) -> None:
    with process(tmp_path, "--models", str(models_dir / "mlp.onnx")) as found:
        found.process.kill()
        wait_for(lambda: not listens(found.client.port))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    (directory / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return directory / "certificate.pem", directory / "key.pem"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["http/1.1", "h2"])
def test_tls_speaks_both_versions_of_http(
    version: str, certificate: tuple[Path, Path], models_dir: Path, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.set_alpn_protocols([version])
    tls = ("--ssl-certfile", str(certificate[0]), "--ssl-keyfile", str(certificate[1]))
    with (
        process(tmp_path, "--models", str(models_dir / "mlp.onnx"), *tls) as found,
        context.wrap_socket(found.client.connect(), server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == version
        if version == "http/1.1":
            connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("given", [("--ssl-certfile",), ("--ssl-keyfile",), ("--ssl-certfile", "--ssl-keyfile")])
def test_a_certificate_that_cannot_be_used_is_one_line(
    given: tuple[str, ...], models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [part for option in given for part in (option, "nowhere.pem")]
    assert cli.main(["--models", str(models_dir), "--port", "0", *files]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "--ssl-keyfile" in text


def test_the_proxy_of_deploy_is_valid_and_lets_the_same_bodies_in() -> None:
    if shutil.which("nginx") is None:
        pytest.skip("there is no nginx")
    ran = subprocess.run(["nginx", "-t", "-p", ROOT / "deploy", "-c", "nginx.conf"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    assert f"client_max_body_size {limits.UPLOAD_BYTES // 2**20}m;" in (ROOT / "deploy/nginx.conf").read_text()
