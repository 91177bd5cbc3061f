"""Run a stage of dvc.lock once more, apart from the repository, and compare what it makes."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from cifra import lockfile
from cifra.lockfile import Stage
from stages.core.cli import params
from stages.core.cli.errors import UserError
from stages.core.sources import fetch

CODE = ("stages/", "serve/")
REPOSITORY = Path(__file__).parents[1]
TEXT = (".csv", ".json")
OWN = ("DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI")  # not to be reached from the scratch folder


def differences(stage: Stage) -> list[str]:
    """A line for each output that came out otherwise. Raises UserError where the stage cannot be repeated."""
    check_inputs(stage)
    if not stage.outs:
        raise UserError(f"{stage.name} leaves no files to compare")
    with tempfile.TemporaryDirectory(prefix="cifra-again-") as folder:
        scratch = Path(folder)
        set_out(stage, scratch)
        run(stage, scratch)
        return [line for out in stage.outs for line in compare(Path(out.path), scratch / out.path)]


def check_inputs(stage: Stage) -> None:
    """To repeat is to start from the same data, code and parameters."""
    for dep in stage.deps:
        found = lockfile.md5_of(Path(dep.path))
        if found != dep.md5:
            what = "is missing" if found is None else "has changed"
            raise UserError(f"{dep.path} {what} since {stage.name} ran: run `dvc repro {stage.name}` first")
    chosen = params.load().model_dump(exclude_unset=True)
    for name, recorded in stage.params.items():
        if value_at(chosen, name) != recorded:
            raise UserError(f"{name} in params.yaml has changed since {stage.name} ran: run `dvc repro {stage.name}`")


def value_at(values: object, name: str) -> object:
    for key in name.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def set_out(stage: Stage, scratch: Path) -> None:
    """Copies and not links, so that nothing the stage does reaches the originals."""
    shutil.copyfile(params.PARAMS, scratch / params.PARAMS)
    for dep in stage.deps:
        if dep.path.startswith(CODE):
            continue
        (scratch / dep.path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if Path(dep.path).is_dir() else shutil.copyfile
        copy(dep.path, scratch / dep.path)


def run(stage: Stage, scratch: Path) -> None:
    python, *arguments = shlex.split(stage.command)
    if python != "python":
        raise UserError(f"{stage.name} is not one of our Python stages: {stage.command}")
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    environment["PYTHONPATH"] = str(REPOSITORY)
    if fetch.BY_HAND.is_dir():
        environment.setdefault(fetch.MIRROR, str(fetch.BY_HAND.absolute()))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=scratch, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise UserError(f"{stage.name} failed when repeated (exit code {done.returncode}): {last}")


def compare(recorded: Path, repeated: Path) -> Iterator[str]:
    for path in sorted(files_of(recorded) | files_of(repeated)):
        old, new = recorded / path, repeated / path
        if not new.is_file() or not old.is_file():
            yield f"{old} is {'not made again' if old.is_file() else 'new'}"
        elif old.read_bytes() != new.read_bytes():
            yield f"{old} differs: {explain(old, new)}"


def files_of(path: Path) -> set[Path]:
    """Relative paths; of a file `.`, which joined to the file is the file."""
    if path.is_dir():
        return {Path(name) for name in lockfile.listing(path)}
    return {Path()} if path.exists() else set()


def explain(old: Path, new: Path) -> str:
    before, after = old.read_bytes(), new.read_bytes()
    if old.suffix == ".safetensors":
        return explain_tensors(before, after)
    if old.suffix in TEXT:
        return f"first in line {first_difference(before.splitlines(), after.splitlines()) + 1}"
    return f"first in byte {first_difference(before, after)} ({len(before)} bytes before, {len(after)} now)"


def explain_tensors(before: bytes, after: bytes) -> str:
    try:
        old, new = load(before), load(after)
    except SafetensorError as error:
        return f"cannot be read ({error})"
    if {name: (a.shape, a.dtype) for name, a in old.items()} != {name: (a.shape, a.dtype) for name, a in new.items()}:
        return "other tensors, or tensors of another shape"
    for name, array in old.items():
        if array.tobytes() != new[name].tobytes():
            largest = np.abs(array.astype(np.float64) - new[name].astype(np.float64)).max()
            return f"tensor {name} first, by {largest:.1e} at most (values up to {np.abs(array).max():.1e})"
    return "the same tensors, but other metadata"


def first_difference(before: list[bytes] | bytes, after: list[bytes] | bytes) -> int:
    pairs = zip(before, after, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
