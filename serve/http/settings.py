"""What whoever starts the server chooses."""

from dataclasses import dataclass, field
from pathlib import Path

from serve.http.guard import Guard

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's variable: a folder where the workers of one server count together."""


@dataclass(frozen=True)
class Settings:
    """Of the application."""

    models: tuple[str, ...] = ("models",)
    """Directories of ONNX files, files, or a registry's models:/NAME@ALIAS."""
    guard: Guard = field(default_factory=Guard)
    model_control: bool = False
    threads: int = 1
    """Of ONNX Runtime, for one run."""
    log_requests: bool = True


@dataclass(frozen=True)
class Listening:
    """Of the server that runs it."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    drain_seconds: float = 0.0
    """How long to go on answering, no longer ready, before the socket closes."""
    certificate: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"
