"""Lead an ONNX file back to its network, parameters, data, dvc.lock, git commit and MLflow run, and check each link.

    python -m cifra trace /anywhere/model.onnx

Run it at the root of the repository. Exit codes: 0 every link that could be checked holds, 1 one does not,
2 not a file of Cifra's.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cifra import lockfile
from cifra.lockfile import LOCK, Stage
from serve.inference.model import Model, ModelError
from stages.core.cli import files
from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from stages.core.cli.paths import SPLIT, WEIGHTS
from stages.core.tracking import store

OK, BROKEN, UNKNOWN = "ok", "not found", "not checked"
SHAPING = ("seed", "threads")
PLAIN = {"network": r"[\w-]+", "dataset": r"[\w-]+", "dataset_sha256": "[0-9a-f]{64}", "fingerprint": "[0-9a-f]+"}
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}  # seconds


class Link(NamedTuple):
    name: str
    state: str
    text: str


@dataclass(frozen=True)
class Origin:
    """Where a file was made: a version of dvc.lock, the stage in it, and the commit, where there is one."""

    stages: dict[str, Stage]
    stage: str
    path: str
    commit: str
    is_current: bool


def main(file: Annotated[str, "an ONNX file, wherever it lies"]) -> int:
    model = load(Path(file))
    digest = lockfile.md5(Path(file).read_bytes())
    origin = find(digest, model.network)
    shape = "×".join(map(str, model.input_shape))
    links = [
        Link("file", "", f"{file}, sha256 {model.sha256}, md5 {digest}"),
        Link("network", "", f"{model.network}: {len(model.classes)} classes, images {shape}"),
        parameters(model, origin),
        data(model),
        training(model),
        *history(origin, digest),
        mlflow_run(model),
    ]
    for link in links:
        text = "".join(sign if sign.isprintable() else "?" for sign in link.text)
        print(f"{link.name:<13}{link.state:<13}{text}")
    return int(any(link.state == BROKEN for link in links))


def load(path: Path) -> Model:
    """The file may come from anybody: what becomes a path or a query below must look like what it should be."""
    try:
        model = Model.load(path)
    except ModelError as error:
        raise UserError(str(error)) from None
    said = model.metadata
    plain = all(re.fullmatch(pattern, str(said.get(name, ""))) for name, pattern in PLAIN.items())
    if not plain or not isinstance(said.get("parameters"), dict):
        raise UserError(f"{path} does not say where it comes from: not a file of Cifra's, or its metadata are lost")
    return model


def find(digest: str, network: str) -> Origin | None:
    """In the dvc.lock that lies here, else in the first commit that held the file."""
    first = git("log", f"-S{digest}", "--format=%H", "--", str(LOCK)).split()[-1:]
    commit = first[0] if first else ""
    for text, is_current in candidates(commit):
        try:
            stages = lockfile.parse(text)
        except ValueError:
            continue
        made = [(stage.name, out.path) for stage in stages.values() for out in stage.outs if out.md5 == digest]
        if made:  # the champion is a copy: rather the file that bears its network's name
            stage, path = min(made, key=lambda one: Path(one[1]).stem != network)
            return Origin(stages, stage, path, commit, is_current)
    return None


def candidates(commit: str) -> Iterator[tuple[bytes, bool]]:
    if LOCK.exists():
        yield LOCK.read_bytes(), True
    if commit:
        yield git("show", f"{commit}:./{LOCK}").encode(), False


def git(*arguments: str) -> str:
    """What git says, empty outside a repository."""
    try:
        return store.git(*arguments)
    except FileNotFoundError:
        return ""


def parameters(model: Model, origin: Origin | None) -> Link:
    said: dict[str, Any] = model.metadata["parameters"]
    text = ", ".join(f"{name} {value}" for name, value in said.items())
    trained = origin.stages.get(f"train@{model.network}") if origin else None
    if trained is None:
        return Link("parameters", UNKNOWN, f"{text} (no dvc.lock with this file to hold them against)")
    recorded = trained.params.get(f"models.{model.network}", {}) | {name: trained.params.get(name) for name in SHAPING}
    other = [name for name, value in recorded.items() if said.get(name) != value]
    if other:
        return Link("parameters", BROKEN, f"{text}: dvc.lock has {other[0]} {recorded[other[0]]}")
    return Link("parameters", OK, text)


def data(model: Model) -> Link:
    text = f"{model.metadata['dataset']}, sha256 {model.metadata['dataset_sha256']}"
    return held_against("data", text, str(model.metadata["dataset_sha256"]), SPLIT / "dataset.json", "sha256")


def training(model: Model) -> Link:
    fingerprint = str(model.metadata["fingerprint"])
    record = WEIGHTS / model.network / "training.json"
    return held_against("fingerprint", fingerprint, fingerprint, record, "fingerprint")


def held_against(name: str, text: str, wanted: str, path: Path, key: str) -> Link:
    if not path.exists():
        return Link(name, UNKNOWN, f"{text} ({path} is not here: `dvc checkout` or `dvc pull` brings it)")
    found = str(files.read_json(path).get(key))
    if found != wanted:
        return Link(name, BROKEN, f"{text}: {path.parent} is of {found}")
    return Link(name, OK, f"{text} ({path.parent})")


def history(origin: Origin | None, digest: str) -> Iterator[Link]:
    in_git = git("rev-parse", "--git-dir")
    if origin is None:
        none = not LOCK.exists() and not in_git
        lost = f"no {LOCK}, here or in a commit, holds a file of md5 {digest}: it was changed, or made elsewhere"
        yield Link("dvc.lock", UNKNOWN if none else BROKEN, f"there is no {LOCK} here" if none else lost)
    else:
        where = "" if origin.is_current else f" (of commit {origin.commit[:12]}, no longer of the one that lies here)"
        yield Link("dvc.lock", OK, f"{origin.stage}, {origin.path}{where}")
    if not in_git:
        yield Link("git commit", UNKNOWN, "not in a git repository")
    elif origin is None or not origin.commit:
        yield Link("git commit", BROKEN, f"no commit's {LOCK} holds it: `git commit {LOCK}` keeps what made a file")
    else:
        yield Link("git commit", OK, git("log", "-1", "--format=%H, %cs, %s", origin.commit))


def mlflow_run(model: Model) -> Link:
    """Read alone: a store that is not there is not made."""
    address = store.address()
    if address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).exists():
        return Link("MLflow run", UNKNOWN, f"there is no {address}: `python -m stages.track` makes it")
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    try:
        client = store.connect()
        experiment = client.get_experiment_by_name(str(model.metadata["dataset"]))
        fingerprint = str(model.metadata["fingerprint"])
        run = experiment and store.find_run(client, experiment.experiment_id, fingerprint)
    except Exception as error:  # of a database, of the network, of MLflow itself
        return Link("MLflow run", UNKNOWN, f"{address} does not answer ({type(error).__name__})")
    if not run:
        return Link("MLflow run", BROKEN, "no run has this fingerprint: `python -m stages.track` records what is here")
    return Link("MLflow run", OK, f"{run.info.run_id}, {run.info.run_name}, {run.info.status}")


if __name__ == "__main__":
    command(main, __doc__)
