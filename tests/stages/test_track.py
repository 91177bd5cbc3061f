"""MLflow is a view of the files: made from them, completed from them, and left alone where it is right."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serve.inference.model import Model
from stages.core.cli import files
from stages.core.cli.paths import FIGURES, METRICS, MODELS, REPORTS, WEIGHTS
from stages.core.data.datasets import metadata
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from stages.core.tracking import store, times
from stages.core.tracking.times import Times
from tests.workspace import CLASSES, ROOT, Workspace, publish_network, publish_split, shell

NETWORK = "mlp_64_128"
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def onnx_bytes() -> bytes:
    network = networks.build(NETWORK, (1, 28, 28), 10, widths=[8]).eval()
    proto = onnx_file.to_onnx(network)
    onnx_file.describe(proto, {"network": NETWORK, "classes": list(CLASSES)})
    data: bytes = proto.SerializeToString()
    return data


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: mlflow takes a second or more to lay out its tables."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.create(database)
    return database


@pytest.fixture
def tracked(workspace: Workspace, onnx_bytes: bytes, empty_store: Path) -> Workspace:
    """One network on disk, as the stages leave it, and a fresh store."""
    publish_split()
    workspace.set(models={NETWORK: workspace.params["models"][NETWORK]})
    publish_network(NETWORK, onnx_bytes, "0123456789abcdef", {"0": 0.6, "T-shirt/top": 1.0})
    files.write_json(REPORTS / "champion.json", {"network": NETWORK})
    (workspace.root / "mlflow.db").write_bytes(empty_store.read_bytes())
    return workspace


def runs() -> list[Any]:
    client = store.connect()
    return list(client.search_runs([store.experiment(client, "digits")]))


def track(workspace: Workspace) -> None:
    outcome = workspace.run("track")
    assert outcome.code == 0, outcome.err


def test_a_run_holds_all_that_is_on_disk(tracked: Workspace) -> None:
    track(tracked)
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer"] == "sgd"
    assert run.data.params["widths"] == "[64, 128]"
    assert run.data.metrics["test_accuracy"] == 0.8
    assert run.data.metrics["class_accuracy/T-shirt/top"] == 1.0
    assert run.data.tags["fingerprint"] == "0123456789abcdef"
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", metadata()["sha256"][:32])


def test_a_run_keeps_figures_and_results(tracked: Workspace) -> None:
    track(tracked)
    (run,) = runs()
    client = store.connect()
    for folder, name in (("figures", "figures/epochs.png"), ("results", "results/confusion.csv")):
        assert [found.path for found in client.list_artifacts(run.info.run_id, folder)] == [name]


def test_a_run_keeps_every_epoch_once_even_if_some_came_live(tracked: Workspace) -> None:
    client = store.connect()
    run = store.open_run(client, files.read_json(WEIGHTS / NETWORK / "training.json"))
    store.log_epoch(client, run, 1, {"validation_loss": 0.25})
    track(tracked)
    assert [metric.step for metric in client.get_metric_history(run, "validation_loss")] == [1, 2]


def test_tracking_twice_changes_nothing(tracked: Workspace) -> None:
    track(tracked)
    (before,) = runs()
    track(tracked)
    (after,) = runs()
    assert after.to_dictionary() == before.to_dictionary()
    client = store.connect()
    assert len(client.search_model_versions("name = 'cifra-digits'")) == 1


def test_a_new_export_of_the_same_training_completes_its_run(tracked: Workspace) -> None:
    track(tracked)
    metrics = files.read_json(METRICS / f"{NETWORK}.json")
    metrics["test"]["accuracy"] = 0.9
    files.write_json(METRICS / f"{NETWORK}.json", metrics)
    track(tracked)
    (run,) = runs()
    assert run.data.metrics["test_accuracy"] == 0.9


def test_the_champion_answers_from_the_registry_as_its_file_does(tracked: Workspace) -> None:
    import mlflow

    track(tracked)
    champion = mlflow.pyfunc.load_model("models:/cifra-digits@champion")
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    wanted = Model.load(MODELS / f"{NETWORK}.onnx").predict(images)
    assert np.array_equal(champion.predict({"image": images})["logits"], wanted.logits)


def test_what_a_dead_process_left_running_is_marked_as_killed(tracked: Workspace) -> None:
    client = store.connect()
    experiment = store.experiment(client, "digits")
    tags = {store.HOST: store.origin()[store.HOST], store.PROCESS: "999999999"}
    dead = client.create_run(experiment, tags=tags).info.run_id
    elsewhere = client.create_run(experiment, tags=tags | {store.HOST: "another"}).info.run_id
    alive = client.create_run(experiment, tags=store.origin()).info.run_id
    store.mark_killed(client, experiment)
    assert [client.get_run(run).info.status for run in (dead, elsewhere, alive)] == ["KILLED", "RUNNING", "RUNNING"]


def test_the_store_is_that_of_the_repository_in_a_queued_experiment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert store.address() == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_server_of_ones_own_takes_the_place_of_the_local_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert store.address() == "http://127.0.0.1:1"


# Packages are imported once, which takes a processor ten seconds, and then every training is a process of its own.
TRAININGS = f"""
import os, sys
from stages import train
from stages.core.tracking import live, store
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
live.AFTER_S, live.FLUSH_S = 0, 60
live.LiveRun.__enter__ = lambda run: run.reached.wait(60) and run  # as if training took long
for folder in sys.argv[1:]:
    if not os.fork():
        os.chdir(folder)
        train.main({NETWORK!r})
        os._exit(0)
sys.exit(sum(os.wait()[1] != 0 for _ in sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that has imported much cannot be doubled")
def test_eight_trainings_started_at_once_on_a_fresh_store_are_all_recorded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of another seed, in a folder of its own, live in one store."""
    publish_split()
    folders = [Path(f"training {seed}") for seed in range(8)]
    for seed, folder in enumerate(folders):
        shutil.copytree("data", folder / "data")
        workspace.set(seed=seed, models__mlp_64_128__epochs=2, models__mlp_64_128__batch_size=50)
        shutil.copyfile("params.yaml", folder / "params.yaml")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.root / 'mlflow.db'}")
    outcome = shell("-c", TRAININGS, *map(str, folders))
    assert (outcome.code, outcome.err) == (0, "")
    assert all((folder / WEIGHTS / NETWORK).is_dir() for folder in folders)
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        assert database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)] * 8
        logged = Counter(database.execute("SELECT run_uuid, key, step FROM metrics"))
    assert {(name, step) for _, name, step in logged} == {(name, step) for name in CURVES for step in (1, 2)}
    assert (len(logged), set(logged.values())) == (8 * len(CURVES) * 2, {1})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_kill_while_the_store_is_made_leaves_none_and_the_next_start_makes_it(workspace: Workspace) -> None:
    """As soon as there are tables in it."""
    script = (
        "from pathlib import Path; from stages.core.tracking import store; store.create(Path('mlflow.db').absolute())"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}) as making:
        while not any(path.stat().st_size for path in Path().glob(".mlflow.db.*.partial")):
            assert making.poll() is None
            time.sleep(0.01)
        making.kill()
    assert not Path("mlflow.db").exists()
    assert shell("-c", script, cwd=workspace.root).code == 0
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    assert sorted(path.name for path in Path().glob("*mlflow.db*")) == ["mlflow.db", "mlflow.db.lock"]


def locked(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@pytest.mark.parametrize("trouble", ["down", "locked", "no database"])
def test_a_store_that_does_not_work_is_one_line_within_a_bound(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """And what failed can be done later."""
    database = Path("mlflow.db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    if trouble == "down":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    if trouble == "no database":
        database.write_bytes(b"not a database" * 100)
    with contextlib.closing(locked(database)) if trouble == "locked" else contextlib.nullcontext():
        begin = time.monotonic()
        done = tracked.run("track")
        assert time.monotonic() - begin < 60
    assert (done.code, "MLflow holds" in done.out) == (2, False)
    (line,) = done.err.splitlines()
    assert line.startswith("error: MLflow's store ")


def versions() -> list[Any]:
    return list(store.connect().search_model_versions("name = 'cifra-digits'"))


def test_single_values_are_logged_at_step_0_and_curves_by_epoch(tracked: Workspace) -> None:
    track(tracked)
    (run,) = runs()
    client = store.connect()
    for name in ("test_accuracy", "class_accuracy/0", "parameters", "macs", "bytes"):
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, name)] == [0]
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2]


def test_a_run_says_what_it_is_and_where_it_comes_from(tracked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "abc123")
    monkeypatch.setenv("USER", "ana")
    track(tracked)
    (run,) = runs()
    tags = run.data.tags
    assert (tags["mlflow.source.git.commit"], tags["mlflow.user"]) == ("abc123", "ana")
    note = tags["mlflow.note.content"]
    assert note.count("\n\n") == 2
    assert "80.00%" in note
    assert f"dvc repro evaluate@{NETWORK}" in note
    assert versions()[0].description == note


def test_figures_are_images_that_compare(tracked: Workspace) -> None:
    track(tracked)
    (run,) = runs()
    names = [Path(found.path).name for found in store.connect().list_artifacts(run.info.run_id, "images")]
    assert any(name.startswith("epochs") for name in names)


def test_an_experiment_records_its_run_and_leaves_the_champion_alone(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    track(tracked)
    client = store.connect()
    before = client.get_model_version_by_alias("cifra-digits", "champion").version
    monkeypatch.setenv("DVC_EXP_NAME", "quiet-hill")
    training = files.read_json(WEIGHTS / NETWORK / "training.json") | {"fingerprint": "fedcba9876543210"}
    files.write_json(WEIGHTS / NETWORK / "training.json", training)
    track(tracked)
    assert len(runs()) == 2
    assert client.get_model_version_by_alias("cifra-digits", "champion").version == before
    assert len(versions()) == 1


def test_another_figure_makes_no_new_version(tracked: Workspace) -> None:
    track(tracked)
    Image.new("RGB", (9, 9)).save(FIGURES / NETWORK / "epochs.png")
    track(tracked)
    assert len(versions()) == 1


def test_artifacts_that_were_deleted_are_made_again(tracked: Workspace) -> None:
    import mlflow

    track(tracked)
    shutil.rmtree("mlruns")
    track(tracked)
    (run,) = runs()
    assert store.connect().list_artifacts(run.info.run_id, "figures")
    assert mlflow.pyfunc.load_model("models:/cifra-digits@champion")


def test_a_score_that_an_earlier_cifra_did_not_log_is_added(tracked: Workspace) -> None:
    track(tracked)
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database, database:
        database.execute("DELETE FROM latest_metrics WHERE key = 'worst_accuracy'")
    assert "worst_accuracy" not in runs()[0].data.metrics
    track(tracked)
    classes = files.read_json(METRICS / f"{NETWORK}.json")["classes"]
    assert runs()[0].data.metrics["worst_accuracy"] == min(classes.values())


def test_an_experiment_that_was_deleted_in_mlflow_is_restored(tracked: Workspace) -> None:
    track(tracked)
    client = store.connect()
    client.delete_experiment(store.experiment(client, "digits"))
    outcome = tracked.run("track")
    assert outcome.code == 0, outcome.err
    assert "it is restored" in outcome.out
    assert client.get_experiment_by_name("digits").lifecycle_stage == "active"


def test_without_git_a_run_is_recorded(tracked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    track(tracked)
    (run,) = runs()
    assert "" not in run.data.tags.values()


@pytest.mark.parametrize("uri", ["sqlite:///own.db", "sqlite:///own.db?timeout=30", "sqlite:///{}/own.db"])
def test_a_store_of_ones_own_is_made_where_its_address_says(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tracked.root))
    track(tracked)
    assert Path("own.db").exists()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://user@host/path", "sqlite://", "mlruns", "/a/b"])
def test_what_is_no_file_of_sqlite_has_none(uri: str) -> None:
    assert store.database_of(uri) is None


def test_the_training_s_own_end_stays_that_of_its_run(tracked: Workspace) -> None:
    client = store.connect()
    run = store.open_run(client, files.read_json(WEIGHTS / NETWORK / "training.json"))
    client.set_terminated(run, "FINISHED", 1_700_000_000_000)
    track(tracked)
    assert client.get_run(run).info.end_time == 1_700_000_000_000


def test_the_time_of_a_run_is_that_of_the_training(tracked: Workspace) -> None:
    took = Times(1_700_000_000_000, 1_700_000_003_000, [1.0, 2.0])
    files.write_json(times.path("0123456789abcdef"), vars(took))
    track(tracked)
    (run,) = runs()
    assert (run.info.start_time, run.info.end_time) == (took.start, took.end)
    assert (run.data.metrics["train_seconds"], run.data.metrics["epoch_seconds"]) == (3.0, 1.5)
    assert run.data.metrics["answer_ms"] > 0


def test_of_a_training_that_was_not_timed_here_no_time_is_said(tracked: Workspace) -> None:
    track(tracked)
    (run,) = runs()
    assert run.info.start_time == run.info.end_time
    assert "train_seconds" not in run.data.metrics


def test_the_table_of_runs_has_columns_that_are_there(tracked: Workspace) -> None:
    files.write_json(times.path("0123456789abcdef"), vars(Times(1_700_000_000_000, 1_700_000_003_000, [1.0, 2.0])))
    track(tracked)
    (run,) = runs()
    client = store.connect()
    view = json.loads(client.get_experiment(store.experiment(client, "digits")).tags[store.VIEW_TAG])
    there = {f"metrics.`{name}`" for name in run.data.metrics} | {f"tags.`{name}`" for name in run.data.tags}
    assert set(view["selectedColumns"]) <= there


def test_the_ui_has_a_link_to_the_runs_of_the_data_set(tracked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    track(tracked)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    monkeypatch.setenv("CIFRA_UI_PORT", "5987")
    said = tracked.run("ui").out
    experiment = store.experiment(store.connect(), "digits")
    assert said == (
        f"the runs are at http://127.0.0.1:5987/#/experiments/{experiment}/runs?workflowType=machine_learning"
        "&viewStateShareKey=cifra\n"
    )


class ReadOnly(BaseHTTPRequestHandler):
    """A server that lets its experiments and runs be read, and nothing written."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        found: dict[str, Any] | None = {
            "/api/2.0/mlflow/experiments/get-by-name": {
                "experiment": {"experiment_id": "1", "name": "digits", "lifecycle_stage": "active"}
            },
            "/api/2.0/mlflow/runs/search": {"runs": []},
        }.get(path)
        refused = {"error_code": "PERMISSION_DENIED", "message": "this server is read-only"}
        body = json.dumps(refused if found is None else found).encode()
        self.send_response(403 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *_: Any) -> None:
        return


class OfVersion(BaseHTTPRequestHandler):
    """Says at /version what the address says before it."""

    def do_GET(self) -> None:
        body = self.path.split("/")[1].encode()
        self.send_response(200 if body[:1].isdigit() else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@contextlib.contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("server", ["read-only", "down"])
def test_without_a_store_to_write_the_pipeline_goes_on_and_track_mends_it(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    there = answering(ReadOnly) if server == "read-only" else contextlib.nullcontext("http://127.0.0.1:9")
    with there as address, monkeypatch.context() as within_dvc:
        within_dvc.setenv("DVC_STAGE", "track")
        within_dvc.setenv("MLFLOW_TRACKING_URI", address)
        done = tracked.run("track")
    (line,) = done.err.splitlines()
    assert (done.code, line.startswith(f"MLflow's store {address} does not work (")) == (0, True)
    assert line.endswith("the pipeline goes on; once it does, run `python -m stages.track`")
    left = (REPORTS / "tracked.json").read_bytes()
    track(tracked)
    assert len(runs()) == 1
    assert (REPORTS / "tracked.json").read_bytes() == left  # the same bytes, with a store or without


def test_a_server_older_than_mlflow_3_has_runs_without_models(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "keeps_models", lambda _: False)
    outcome = tracked.run("track")
    assert outcome.code == 0
    assert "MLflow holds 1 runs; no models: the server is older than MLflow 3. " in outcome.out
    (run,) = runs()
    assert (run.data.metrics["test_accuracy"], run.outputs.model_outputs if run.outputs else []) == (0.8, [])
    monkeypatch.setattr(store, "keeps_models", lambda _: True)
    track(tracked)  # after an upgrade
    assert versions()


@pytest.mark.parametrize(("says", "keeps"), [("2.22.5", False), ("1.30.0", False), ("3.17.2", True), ("managed", True)])
def test_which_servers_keep_models(says: str, keeps: bool) -> None:
    with answering(OfVersion) as address:
        assert store.keeps_models(f"{address}/{says}") is keeps


def test_an_experiment_that_was_renamed_in_mlflow_is_made_anew(tracked: Workspace) -> None:
    track(tracked)
    client = store.connect()
    client.rename_experiment(store.experiment(client, "digits"), "mine")
    track(tracked)
    assert len(runs()) == 1
    found = client.get_experiment_by_name("mine")
    assert len(client.search_runs([found.experiment_id])) == 1


def test_no_two_networks_have_the_same_colour(tracked: Workspace) -> None:
    from stages import track as stage

    assert len(set(stage.COLOURS)) == len(stage.COLOURS) >= 9
    track(tracked)
    assert runs()[0].data.tags["mlflow.runColor"] == stage.COLOURS[0]
