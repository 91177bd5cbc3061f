"""An environment for each server that is measured, so that none has to fit another's dependencies."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = {
    "cifra": [f"{HERE.parent}[serve]"],
    "fastapi": ["fastapi", "uvicorn[standard]", "onnxruntime"],
    "mlserver": ["mlserver==1.7.1", "onnxruntime"],
    "litserve": ["litserve", "onnxruntime"],
    "mlflow": ["mlflow", "onnx", "onnxruntime"],
    "bentoml": ["bentoml", "onnxruntime"],
    "kserve": ["kserve", "onnxruntime"],
}
SHOWN = ("fastapi", "mlserver", "litserve", "mlflow", "bentoml")  # packages of the same name


def python_of(name: str) -> Path:
    return HERE / ".venvs" / name / "bin/python"


def prepare(name: str) -> None:
    """Make the environment, unless it is there."""
    python = python_of(name)
    if python.exists():
        return
    print(f"preparing {python.parents[1]}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *ENVIRONMENTS[name]], check=True)


def version(name: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python_of(name), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def megabytes(name: str) -> int:
    """What the environment's packages take on disk, pip and setuptools apart."""
    (packages,) = python_of(name).parents[1].glob("lib/python*/site-packages")
    files = [
        file
        for folder in packages.iterdir()
        if not folder.name.startswith(("pip", "setuptools"))
        for file in (folder.rglob("*") if folder.is_dir() else [folder])
        if file.is_file() and not file.is_symlink()
    ]
    return round(sum(file.stat().st_size for file in files) / 2**20)
