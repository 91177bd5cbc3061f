"""Serve ONNX networks over HTTP.

    python -m serve                                  every network of models/, on http://127.0.0.1:8000
    python -m serve --models models/lenet_28.onnx    one network
    python -m serve --models models:/cifra-digits@champion  from an MLflow registry (needs mlflow)
    python -m serve predict digit.png …              the same answers in the shell, without a server
    python -m serve page DIR                         the page as a site that needs no server
    python -m serve export --triton DIR              the networks for Triton, or KServe

Another address than this machine's own needs an API key (--api-key-file, or CIFRA_API_KEY) or --no-api-key.
"""

import argparse
import os
import socket
import ssl
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from serve import __version__
from serve.http.guard import LOOPBACK, Guard, is_loopback
from serve.http.settings import Listening, Settings

MADE = ("models", "champion")  # by the pipeline
WRITERS = {"page": "site", "export": "export"}  # what writes files, and its module


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["predict"]:
        from serve import predict

        return predict.main(argv[1:])
    if argv and argv[0] in WRITERS:
        return _write(*argv)
    from serve.http.server import serve

    arguments = _parser().parse_args(argv)
    try:
        settings, listening = _settings(arguments), _listening(arguments)
    except ValueError as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}; try --port", 1)
    try:
        serve(settings, listening)
    except SystemExit as ended:  # a worker has said why
        return int(ended.code or 0)
    return 0


def _write(verb: str, *argv: str) -> int:
    try:
        import_module(f"serve.{WRITERS[verb]}").main(list(argv))
    except ValueError as error:
        return _complain(str(error), 2, verb)
    except OSError as error:
        return _complain(f"{error.filename} cannot be read or written: {error.strerror}", 2, verb)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--version", action="version", version=f"cifra {__version__}")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add(
        "--port",
        type=int,
        default=8000,
        help="port to listen on, 0 for any that is free (default: %(default)s)",
    )
    add("--workers", type=int, default=1, help="processes that answer, each with all models (default: %(default)s)")
    add("--ssl-certfile", type=Path, metavar="FILE", help="certificate: answer over TLS, HTTP/2 included")
    add("--ssl-keyfile", type=Path, metavar="FILE", help="its private key")
    add("--models", nargs="+", default=[], metavar="WHERE",
        help="directories of ONNX files, files, or models:/NAME@ALIAS (default: models and champion)")  # fmt: skip
    add("--api-key-file", type=Path, metavar="FILE", help="accept the keys in FILE, one per line")
    add("--no-api-key", action="store_true", help="listen on another address than loopback without any key")
    add("--allowed-host", action="append", metavar="NAME",
        help="a name by which the server may be called; repeat for more (default: this machine's own on "
        "loopback, any elsewhere)")  # fmt: skip
    add("--cors", action="append", default=[], metavar="ORIGIN",
        help="let pages of ORIGIN (https://example.org) use the server; repeat for more")  # fmt: skip
    add("--model-control", action="store_true", help="let clients load and unload models")
    add("--threads", type=int, default=1, help="threads of ONNX Runtime for one run (default: %(default)s)")
    add("--drain-seconds", type=float, default=0.0, metavar="S",
        help="after SIGTERM, answer for S more seconds while no longer ready (default: 0)")  # fmt: skip
    add("--no-request-log", action="store_true", help="write down events only, not each request")
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    """Raises ValueError."""
    if arguments.threads < 1:
        raise ValueError("--threads must be at least 1")
    if arguments.model_control and arguments.workers > 1:
        raise ValueError("--model-control reaches one process only: leave out --workers")
    arguments.models = arguments.models or [name for name in MADE if name == MADE[0] or Path(name).exists()]
    for source in arguments.models:
        if not source.startswith("models:/") and not Path(source).exists():
            raise ValueError(f"--models {source}: no such file or directory")
    return Settings(
        models=tuple(arguments.models),
        guard=_guard(arguments),
        model_control=arguments.model_control,
        threads=arguments.threads,
        log_requests=not arguments.no_request_log,
    )


def _listening(arguments: argparse.Namespace) -> Listening:
    """Raises ValueError, OSError."""
    if not 0 <= arguments.port < 2**16:
        raise ValueError(f"--port must be from 0 to 65535, not {arguments.port}")
    if arguments.workers < 1 or arguments.drain_seconds < 0:
        raise ValueError("--workers must be at least 1 and --drain-seconds at least 0")
    _check_certificate(arguments.ssl_certfile, arguments.ssl_keyfile)
    return Listening(
        host=arguments.host,
        port=_free_port(arguments.host, arguments.port),
        workers=arguments.workers,
        drain_seconds=arguments.drain_seconds,
        certificate=arguments.ssl_certfile,
        key=arguments.ssl_keyfile,
    )


def _free_port(host: str, port: int) -> int:
    """The same, or one that is free for 0. Raises OSError, for a port in use among others."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        return int(listener.getsockname()[1])


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Raises ValueError."""
    if (certificate is None) != (key is None):
        raise ValueError("--ssl-certfile and --ssl-keyfile belong together")
    if certificate is not None and key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError among them
            raise ValueError(f"--ssl-certfile {certificate} and --ssl-keyfile {key} cannot be used: {error}") from error


def _guard(arguments: argparse.Namespace) -> Guard:
    keys = _keys(arguments.api_key_file)
    local = is_loopback(arguments.host)
    origins = frozenset(_origin(origin) for origin in arguments.cors)
    if not (local or keys or arguments.no_api_key):
        choices = "give --api-key-file or CIFRA_API_KEY, or say --no-api-key"
        raise ValueError(f"anybody could ask at {arguments.host}: {choices}")
    hosts = frozenset(name.lower() for name in arguments.allowed_host or ())
    own = LOOPBACK | {arguments.host} if local else LOOPBACK
    return Guard(keys, (hosts | own) if hosts or local else None, origins)


def _origin(text: str) -> str:
    """As browsers send it. Raises ValueError."""
    if text == "*":
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"--cors {text}: an origin is https://example.org or http://127.0.0.1:3000, or * for all")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _keys(file: Path | None) -> tuple[str, ...]:
    keys = [os.environ.get("CIFRA_API_KEY", "")]
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"--api-key-file {file} cannot be read: {error}") from error
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise ValueError(f"--api-key-file {file} holds no key: write one a line")
        keys += found
    return tuple(key.strip() for key in keys if key.strip())


def _complain(message: str, status: int, verb: str = "") -> int:
    print(f"{f'serve {verb}'.strip()}: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
