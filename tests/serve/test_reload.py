import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serve.http.messages import Problem
from serve.inference.model import Model
from serve.inference.repository import Repository
from tests.serve.networks import lenet, save
from tests.serve.running import Client, Running, infer_body, running

INFER = "/v2/models/lenet_28/infer"
Make = Callable[..., np.ndarray]


@pytest.fixture
def reloading(tmp_path: Path) -> Iterator[Running]:
    save(tmp_path, "lenet_28", lenet(0))
    with running(tmp_path, model_control=True) as found:
        yield found


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)


def test_a_new_file_is_picked_up(tmp_path: Path) -> None:
    repository = Repository([str(tmp_path)])
    assert repository.refresh() == []
    save(tmp_path, "lenet_28", lenet(0))
    (line,) = repository.refresh()
    assert line == f"lenet_28: version {repository.get('lenet_28').version} of lenet_28 is ready"
    assert repository.refresh() == []


def test_a_changed_file_is_swapped_in(tmp_path: Path) -> None:
    repository = Repository([str(save(tmp_path, "lenet_28", lenet(0)))])
    repository.refresh()
    before = repository.get("lenet_28")
    save(tmp_path, "lenet_28", lenet(1))
    repository.refresh()
    assert repository.get("lenet_28").version != before.version
    with pytest.raises(Problem, match="unknown version"):
        repository.get("lenet_28", before.version)


def test_the_same_bytes_again_keep_the_same_model(tmp_path: Path) -> None:
    path = save(tmp_path, "lenet_28", lenet(0))
    repository = Repository([str(path)])
    repository.refresh()
    before = repository.get("lenet_28")
    os.utime(path, ns=(1, 1))
    repository.refresh()
    assert repository.get("lenet_28") is before


@pytest.mark.parametrize("data", [b"", b"nonsense", lenet(1).SerializeToString()[:3000]])
def test_a_bad_file_leaves_the_old_model_and_says_why(data: bytes, tmp_path: Path) -> None:
    path = save(tmp_path, "lenet_28", lenet(0))
    repository = Repository([str(tmp_path)])
    repository.refresh()
    before = repository.get("lenet_28")
    path.write_bytes(data)
    (line,) = repository.refresh()
    assert "goes on: lenet_28.onnx: " in line
    assert repository.get("lenet_28") is before
    assert repository.refresh() == []
    save(tmp_path, "lenet_28", lenet(2))
    repository.refresh()
    assert repository.get("lenet_28").version != before.version
    assert repository.entries["lenet_28"].reason == ""


def test_a_file_that_is_gone_goes_on_being_served(tmp_path: Path) -> None:
    path = save(tmp_path, "lenet_28", lenet(0))
    repository = Repository([str(tmp_path)])
    repository.refresh()
    path.unlink()
    assert "its file is gone" in repository.refresh()[0]
    assert repository.get("lenet_28").version
    save(tmp_path, "lenet_28", lenet(0))
    repository.refresh()
    assert repository.entries["lenet_28"].reason == ""


def test_a_bad_file_from_the_start_is_listed_but_not_ready(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    save(tmp_path, "lenet_28")
    with running(tmp_path) as found:
        index = {entry["name"]: entry for entry in found.client("POST", "/v2/repository/index").json}
        assert index["bad"]["state"] == "UNAVAILABLE"
        assert "not an ONNX file" in index["bad"]["reason"]
        assert found.client("GET", "/v2/models/bad/ready").status == 503
        assert found.client("GET", "/v2/models/lenet_28/ready").status == 200
        ready = found.client("POST", "/v2/repository/index", {"ready": True}).json
        assert [entry["name"] for entry in ready] == ["lenet_28"]
        assert 'cifra_model_file_refused{model="bad"} 1.0' in found.client("GET", "/metrics").body.decode()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_a_registry_is_followed_through_its_alias(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        client = mlflow.MlflowClient()
        experiment = client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri())
        client.create_registered_model("cifra")
        for seed in (0, 1):
            run = client.create_run(experiment).info
            client.log_artifact(run.run_id, str(save(tmp_path, "lenet_28", lenet(seed))), "model")
            client.create_model_version("cifra", f"{run.artifact_uri}/model", run.run_id)
        client.set_registered_model_alias("cifra", "champion", "1")
        repository = Repository(["models:/cifra@champion"])
        repository.refresh()
        first = repository.get("cifra").version
        client.set_registered_model_alias("cifra", "champion", "2")
        repository.refresh(force=True)
        assert repository.get("cifra").version != first
        repository.close()
    finally:
        mlflow.set_tracking_uri(before)


def test_loading_and_unloading_where_allowed(reloading: Running, tmp_path: Path, images: Make) -> None:
    client = reloading.client
    assert client("POST", "/v2/repository/models/lenet_28/unload", {}).status == 200
    assert client("POST", INFER, infer_body(images())).status == 503
    assert reloading.app.endpoints.repository.refresh() == []
    assert client("POST", "/v2/repository/models/lenet_28/load", {}).status == 200
    assert client("POST", INFER, infer_body(images())).status == 200
    (tmp_path / "lenet_28.onnx").write_bytes(b"nonsense")
    reply = client("POST", "/v2/repository/models/lenet_28/load", {})
    assert (reply.status, "not an ONNX file" in reply.json["error"]) == (400, True)
    assert client("POST", INFER, infer_body(images())).status == 200
    assert client("POST", "/v2/repository/models/nope/load", {}).status == 404
    assert client("POST", "/v2/repository/models/nope/unload", {}).status == 404


def test_a_hundred_swaps_under_load(reloading: Running, tmp_path: Path, images: Make) -> None:
    """No error, and each answer is that of the version it names."""
    files = [lenet(seed).SerializeToString() for seed in range(4)]
    expected = {}
    for i, data in enumerate(files):
        path = tmp_path / f"copy{i}.bin"
        path.write_bytes(data)
        model = Model.load(path)
        expected[model.version] = model.predict(images()).logits[0]
    stop, wrong, seen = threading.Event(), [], set()
    body = infer_body(images())

    def ask(client: Client) -> None:
        while not stop.is_set():
            reply = client("POST", INFER, body)
            found = reply.json
            seen.add(found.get("model_version"))
            logits = np.array(found["outputs"][0]["data"], np.float32) if reply.status == 200 else None
            if not np.array_equal(logits, expected[found["model_version"]]):
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(reloading.client,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for swap in range(100):
        _replace(tmp_path / "lenet_28.onnx", files[swap % 4] if swap % 10 else files[swap % 4][:999])
        reloading.app.endpoints.repository.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) == 4


def test_two_files_of_one_name_are_both_served_under_names_of_their_own(models_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "int8"
    folder.mkdir()
    (folder / "lenet_28.onnx").write_bytes((models_dir / "mlp.onnx").read_bytes())
    with running(models_dir, folder) as found:
        names = found.client("GET", "/v2/models").json["models"]
        assert {"lenet_28", "int8_lenet_28"} <= set(names)
        networks = [found.app.endpoints.repository.get(name).sha256 for name in ("lenet_28", "int8_lenet_28")]
        assert len(set(networks)) == 2
