import json
import subprocess
from pathlib import Path
from typing import Any

import onnx
import pytest

from cifra import lockfile
from stages.core.cli import files
from stages.core.data import datasets
from stages.core.networks import networks
from stages.core.onnx import onnx_file
from stages.core.tracking import store
from tests import recorded
from tests.workspace import CLASSES, Workspace, publish_split

NETWORK = "mlp_64_128"
RECIPE = {"widths": [4, 4], "lr": 0.1}
TRAIN, EXPORT = f"train@{NETWORK}", f"export@{NETWORK}"


def write_model(path: Path, **changes: Any) -> None:
    network = networks.build(NETWORK, (1, 28, 28), len(CLASSES), widths=[4, 4])
    proto = onnx_file.to_onnx(network.eval())
    metadata: dict[str, Any] = {
        "network": NETWORK,
        "classes": list(CLASSES),
        "dataset": "digits",
        "dataset_sha256": datasets.metadata()["sha256"],
        "parameters": {**RECIPE, "seed": 123, "threads": 1, "accelerator": "cpu"},
        "fingerprint": "00c0ffee",
    } | changes
    onnx_file.describe(proto, {name: value for name, value in metadata.items() if value is not None})
    files.write(path, proto.SerializeToString())


@pytest.fixture
def made(workspace: Workspace) -> Workspace:
    """A repository whose first commit holds the lock, and a file copied elsewhere under another name."""
    publish_split()
    files.write_json(Path("weights", NETWORK, "training.json"), {"fingerprint": "00c0ffee"})
    write_model(Path("models", f"{NETWORK}.onnx"))
    files.write(Path("champion/champion.onnx"), Path("models", f"{NETWORK}.onnx").read_bytes())
    outs = {"compare": ["champion/champion.onnx"], TRAIN: [f"weights/{NETWORK}"], EXPORT: [f"models/{NETWORK}.onnx"]}
    workspace.monkeypatch.setattr(recorded, "OUTS", outs)
    lock()
    for name in ("AUTHOR", "COMMITTER"):
        workspace.monkeypatch.setenv(f"GIT_{name}_NAME", "t")
        workspace.monkeypatch.setenv(f"GIT_{name}_EMAIL", "t@localhost")
    workspace.monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it itself; so it is taken back
    git("init", "-q")
    commit("the first")
    Path("models", f"{NETWORK}.onnx").rename("copy of a model.onnx")
    return workspace


def lock(**changes: Any) -> None:
    recorded.record(params={TRAIN: {f"models.{NETWORK}": RECIPE, "seed": 123, "threads": 1} | changes})


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str) -> None:
    git("add", "dvc.lock")
    git("commit", "-q", "--allow-empty", "-m", message)


def trace(workspace: Workspace, code: int = 0, file: str = "copy of a model.onnx") -> dict[str, str]:
    """What follows the name of each link."""
    outcome = workspace.run("trace", file)
    assert (outcome.code, outcome.err) == (code, "")
    return {line[:13].strip(): line[13:].strip() for line in outcome.out.splitlines()}


def broken(links: dict[str, str]) -> list[str]:
    return [name for name, text in links.items() if text.startswith("not found")]


def test_every_link_of_a_copied_file_is_found(made: Workspace) -> None:
    links = trace(made)
    data = Path("copy of a model.onnx").read_bytes()
    assert links == {
        "file": f"copy of a model.onnx, sha256 {files.sha256(data)}, md5 {lockfile.md5(data)}",
        "network": f"{NETWORK}: 10 classes, images 1×28×28",
        "parameters": "ok           accelerator cpu, lr 0.1, seed 123, threads 1, widths [4, 4]",
        "data": f"ok           digits, sha256 {datasets.metadata()['sha256']} (data/split)",
        "fingerprint": f"ok           00c0ffee (weights/{NETWORK})",
        "dvc.lock": f"ok           {EXPORT}, models/{NETWORK}.onnx",
        "git commit": f"ok           {git('log', '-1', '--format=%H, %cs')}, the first",
        "MLflow run": f"not checked  there is no sqlite:///{Path.cwd()}/mlflow.db: `python -m stages.track` makes it",
    }


def test_no_store_is_made(made: Workspace) -> None:
    trace(made)
    assert not list(Path().glob("mlflow*"))


def test_the_commit_is_the_first_that_held_the_file(made: Workspace) -> None:
    first = git("rev-parse", "HEAD")
    lock(seed=123, other=1)
    commit("the second")
    assert trace(made)["git commit"].startswith(f"ok           {first}")


def test_a_file_of_an_earlier_commit_is_found_there(made: Workspace) -> None:
    first = git("rev-parse", "HEAD")
    write_model(Path("models", f"{NETWORK}.onnx"), fingerprint="aa")
    Path("champion/champion.onnx").unlink()
    lock(seed=7)
    commit("the second")
    links = trace(made)
    assert links["git commit"].startswith(f"ok           {first}")
    assert f"(of commit {first[:12]}, no longer" in links["dvc.lock"]
    assert links["parameters"].startswith("ok")


def test_a_flipped_bit_has_no_origin(made: Workspace) -> None:
    file = Path("copy of a model.onnx")
    proto = onnx.load(file)
    raw = bytearray(proto.graph.initializer[1].raw_data)
    raw[0] ^= 1
    proto.graph.initializer[1].raw_data = bytes(raw)
    file.write_bytes(proto.SerializeToString())
    links = trace(made, code=1)
    assert broken(links) == ["dvc.lock", "git commit"]
    assert "it was changed, or made elsewhere" in links["dvc.lock"]


def test_a_lock_that_was_not_committed_is_told(made: Workspace) -> None:
    write_model(Path("new.onnx"), fingerprint="00c0ffee", note="another")
    made.monkeypatch.setitem(recorded.OUTS, EXPORT, ["new.onnx"])
    lock()
    links = trace(made, code=1, file="new.onnx")
    assert broken(links) == ["git commit"]
    assert links["dvc.lock"].startswith(f"ok           {EXPORT}, new.onnx")


@pytest.mark.parametrize("changes", [{"seed": 124}, {f"models.{NETWORK}": {"lr": 0.2}}], ids=["seed", "lr"])
def test_other_parameters_in_the_lock_are_told(made: Workspace, changes: dict[str, Any]) -> None:
    lock(**changes)
    links = trace(made, code=1)
    assert broken(links) == ["parameters"]
    assert links["parameters"].rpartition(": ")[2].startswith("dvc.lock has ")


def test_other_data_are_told(made: Workspace) -> None:
    publish_split(train=101)
    links = trace(made, code=1)
    assert broken(links) == ["data"]
    assert links["data"].endswith(f"data/split is of {datasets.metadata()['sha256']}")


def test_another_training_is_told(made: Workspace) -> None:
    Path("weights", NETWORK, "training.json").write_text(json.dumps({"fingerprint": "abad1dea"}))
    assert broken(trace(made, code=1)) == ["fingerprint"]


def test_away_from_the_repository_nothing_can_be_checked(
    made: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = Path("copy of a model.onnx").absolute()
    made.monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    links = trace(made, file=str(file))
    assert [text[:11] for text in list(links.values())[2:]] == ["not checked"] * 6


@pytest.mark.parametrize(
    "changes",
    [
        {"network": None},
        {"network": "../../etc"},
        {"dataset_sha256": "12"},
        {"fingerprint": "' or '1"},
        {"parameters": "none"},
        {"dataset": "\x1b[31m"},
    ],
    ids=str,
)
def test_what_does_not_say_where_it_comes_from_is_one_line(made: Workspace, changes: dict[str, Any]) -> None:
    write_model(Path("other.onnx"), **changes)
    outcome = made.run("trace", "other.onnx")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "does not say where it comes from" in outcome.err


def test_nothing_in_the_file_reaches_the_terminal_raw(made: Workspace) -> None:
    write_model(Path("other.onnx"), parameters={"lr": "\x1b[2J"})
    assert "\x1b" not in made.run("trace", "other.onnx").out


@pytest.mark.parametrize(("name", "said"), [("dvc.lock", "not an ONNX file"), ("none.onnx", "cannot be read")])
def test_what_is_no_model_is_one_line(made: Workspace, name: str, said: str) -> None:
    outcome = made.run("trace", name)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err


@pytest.mark.slow
def test_the_run_is_found_by_its_fingerprint(made: Workspace) -> None:
    client = store.connect()
    links = trace(made, code=1)
    assert broken(links) == ["MLflow run"]
    run = store.open_run(client, {"network": NETWORK, "dataset": "digits", "fingerprint": "00c0ffee"})
    assert trace(made)["MLflow run"] == f"ok           {run}, {NETWORK}-00c0, RUNNING"


@pytest.mark.slow
def test_a_broken_store_is_told_and_left_alone(made: Workspace) -> None:
    Path("mlflow.db").write_bytes(b"not a database")
    assert trace(made)["MLflow run"].startswith("not checked")
    assert Path("mlflow.db").read_bytes() == b"not a database"
