"""The MLflow store: where it is, made once and whole, and what a run says about its origin.

mlflow takes seconds to import, so every function here imports it when called.
"""

import json
import logging
import os
import re
import socket
import subprocess
import time
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from stages.core.cli import processes

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FINGERPRINT = "fingerprint"
HOST, PROCESS = "cifra.host", "cifra.process"
VIEW = "cifra"  # the key of a view that is kept with the experiment: MLflow's pages show what the tag says
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
COLUMNS = (  # of names that fit into MLflow's columns
    "tags.`network`",
    "metrics.`test_accuracy`",
    "tags.`worst_class`",
    "metrics.`parameters`",
    "metrics.`train_seconds`",
)
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}  # seconds; else minutes
QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # of every run that is touched


def connect() -> "MlflowClient":
    """A client of MLFLOW_TRACKING_URI, by default of the SQLite file at the root of the repository."""
    for name, value in {**IMPATIENT, **QUIET}.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module="mlflow")  # it warns of its own dependencies
    import mlflow

    for name, level in {"mlflow": logging.WARNING, "alembic": logging.WARNING, "urllib3": logging.ERROR}.items():
        logging.getLogger(name).setLevel(level)
    uri = address()
    if database := database_of(uri):
        create(database)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient()


def troubles() -> tuple[type[Exception], ...]:
    """What a client raises when the store is away, locked, broken or not ours to write."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, OSError, SQLAlchemyError


@cache
def keeps_models(uri: str) -> bool:
    """Whether runs can have logged models there: a server of before MLflow 3 knows none."""
    if not uri.startswith(("http://", "https://")):
        return True
    import requests

    version = requests.get(f"{uri.rstrip('/')}/version", timeout=int(IMPATIENT["MLFLOW_HTTP_REQUEST_TIMEOUT"]))
    return re.match("[012][.]", version.text) is None


def address() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root() / 'mlflow.db'}"


def database_of(uri: str) -> Path | None:
    """The file of an SQLite store, whatever else its address says."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except ArgumentError:  # a folder
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)).absolute() if is_file else None


def root() -> Path:
    """DVC runs a queued experiment in a folder that it throws away; its DVC_ROOT stays that of the repository."""
    return Path(os.environ.get("DVC_ROOT", ".")).absolute()


def create(database: Path) -> None:
    """Make the store under a lock and aside: mlflow's own first start breaks it for ever if killed or doubled."""
    if database.exists():
        return
    with FileLock(f"{database}.lock"):
        if database.exists():
            return
        for left in database.parent.glob(f".{database.name}.*.partial*"):
            left.unlink()
        partial = database.with_name(f".{database.name}.{os.getpid()}.partial")
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
            f"sqlite:///{partial}", (database.parent / "mlruns").as_uri()
        )
        store.engine.dispose()
        partial.replace(database)


def experiment(client: "MlflowClient", dataset: str) -> str:
    """The id of the data set's experiment, made if absent, restored if it was deleted in MLflow's pages."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(dataset)
    if found is None:
        try:
            return str(client.create_experiment(dataset))
        except MlflowException:  # another process made it first
            found = client.get_experiment_by_name(dataset)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        print(f"the experiment {dataset} had been deleted in MLflow: it is restored")
    return str(found.experiment_id)


def set_columns(client: "MlflowClient", dataset: str) -> None:
    """Which columns MLflow's table of runs has, and the best network first, for whoever comes by our link."""
    view = {"selectedColumns": COLUMNS, "columnOrder": COLUMNS, "orderByKey": COLUMNS[1], "orderByAsc": False}
    client.set_experiment_tag(experiment(client, dataset), VIEW_TAG, json.dumps(view))


def find_run(client: "MlflowClient", experiment_id: str, fingerprint: str) -> "Run | None":
    runs = client.search_runs([experiment_id], f"tags.{FINGERPRINT} = '{fingerprint}'", max_results=1)
    return runs[0] if runs else None


def open_run(client: "MlflowClient", record: dict[str, str], start: int | None = None) -> str:
    """The id of the run of this training, made if absent.

    Args:
        record: weights/NETWORK/training.json, of which network, dataset and fingerprint are used here.
        start: of the training, in milliseconds; MLflow takes it when it makes a run, and never later.
    """
    experiment_id = experiment(client, record["dataset"])
    run = find_run(client, experiment_id, record[FINGERPRINT])
    if run is None:
        name = f"{record['network']}-{record[FINGERPRINT][:4]}"
        tags = origin() | {FINGERPRINT: record[FINGERPRINT]}
        run = client.create_run(experiment_id, start, tags, name)
    return str(run.info.run_id)


def resume_run(client: "MlflowClient", run: str) -> None:
    """Say that the run goes on, and in this process: under the name of the dead one before, it would be reaped."""
    for name, value in writer().items():
        client.set_tag(run, name, value)
    client.update_run(run, "RUNNING")


def logged_epochs(client: "MlflowClient", run: str) -> set[int]:
    return {metric.step for metric in client.get_metric_history(run, "validation_loss")}


def log_epoch(client: "MlflowClient", run: str, epoch: int, values: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, epoch) for name, value in values.items() if name != "epoch"]
    client.log_batch(run, metrics=metrics)


def origin() -> dict[str, str]:
    """Tags: the stage, the experiment, and the commit that the work started from."""
    commit = os.environ.get("DVC_EXP_BASELINE_REV") or git("rev-parse", "HEAD")
    tags = {
        **writer(),
        "mlflow.user": os.environ.get("USER") or git("config", "user.name"),
        "mlflow.source.name": "dvc repro",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.exp": os.environ.get("DVC_EXP_NAME", ""),
        "git.base": commit,
        "git.dirty": str(bool(git("status", "--porcelain"))).lower(),
    }
    return {name: value for name, value in tags.items() if value}


def writer() -> dict[str, str]:
    """Tags: who will end the run, unless it dies before."""
    return {HOST: socket.gethostname(), PROCESS: str(os.getpid())}


def git(*arguments: str) -> str:
    """What git says; empty outside a repository and where there is no git."""
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip()


def mark_killed(client: "MlflowClient", experiment_id: str) -> None:
    """Mark as KILLED what a dead process of this machine left RUNNING."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if tags.get(HOST) == socket.gethostname() and not processes.is_alive(int(tags.get(PROCESS, "0"))):
            client.set_terminated(run.info.run_id, "KILLED")
