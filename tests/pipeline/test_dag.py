"""The whole story, told by DVC in a repository of its own."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bench.clone import yaml
from tests.pipeline.conftest import NETWORKS, Repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1000)]


@pytest.mark.parametrize("network", [*NETWORKS, "champion"])
def test_the_onnx_file_answers_uint8_images_in_plain_onnxruntime(repository: Repository, network: str) -> None:
    folder = "champion" if network == "champion" else "models"
    session = onnxruntime.InferenceSession(repository.path / folder / f"{network}.onnx")
    (image,) = session.get_inputs()
    logits, probabilities = session.run(
        ["logits", "probabilities"], {"image": np.zeros((3, *image.shape[1:]), np.uint8)}
    )
    assert (image.name, image.type, logits.shape) == ("image", "tensor(uint8)", (3, 10))
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_nothing_is_left_to_do(repository: Repository) -> None:
    assert "up to date" in repository.run("dvc", "repro")


def test_nothing_that_dvc_makes_is_left_for_git(repository: Repository) -> None:
    assert repository.run("git", "status", "--porcelain") == ""


def test_another_recipe_touches_its_network_alone(repository: Repository) -> None:
    repository.edit("params.yaml", lambda params: params["models"]["lenet_32"].update(lr=0.02))
    try:
        planned = repository.run("dvc", "repro", "--dry")
    finally:
        repository.run("git", "checkout", "-q", "params.yaml")
    assert "train@lenet_32" in planned
    assert "Running stage 'train@mlp_64_128'" not in planned


def test_a_comment_in_code_that_changes_no_result_runs_nothing(repository: Repository) -> None:
    for name in ("stages/core/cli/errors.py", "stages/core/cli/command.py", "stages/core/cli/progress.py"):
        with (repository.path / name).open("a") as file:
            file.write("# nothing\n")
    try:
        assert "Running stage" not in repository.run("dvc", "repro", "--dry")
    finally:
        repository.run("git", "checkout", "-q", "stages")


def test_a_network_is_added_and_removed_by_its_entry_in_params_alone(repository: Repository) -> None:
    try:
        repository.edit("params.yaml", add_a_network)
        ran = stages_run(repository)
        assert {stage for stage in ran if "@" in stage} == {f"{stage}@lenet_any" for stage in PER_NETWORK}
        assert list_of(repository)[-1] == "lenet_any"
        assert stages_run(repository) == []
        repository.edit("params.yaml", lambda params: params["models"].pop("lenet_any"))
        assert {stage.partition("@")[0] for stage in stages_run(repository)} <= OVER_ALL
        assert list_of(repository) == list(NETWORKS)
        left = [path for folder in MADE for path in (repository.path / folder).rglob("*lenet_any*")]
        assert left == []
        assert stages_run(repository) == []
        assert "up to date" in repository.run("dvc", "status")
    finally:
        repository.run("git", "checkout", "-q", ".")
        repository.run("dvc", "checkout", "-q")


MADE = ("weights", "models", "model_info", "metrics", "results", "reports", "samples", "figures")
OVER_ALL = {"compare", "samples", "track"}
PER_NETWORK = ("train", "export", "evaluate", "render")


def add_a_network(params: Any) -> None:
    params["models"]["lenet_any"] = dict(params["models"]["lenet_32"])


def stages_run(repository: Repository, *options: str) -> list[str]:
    return re.findall(r"Running stage '(.*?)'", repository.run("dvc", "repro", *options))


def list_of(repository: Repository) -> list[str]:
    """The networks of the table."""
    lines = (repository.path / "reports/comparison.csv").read_text().splitlines()
    return [line.partition(",")[0] for line in lines[1:]]


def test_one_network_runs_its_own_stages_alone(repository: Repository) -> None:
    """Then a full run has what is left, the comparison among it."""
    try:
        repository.edit("params.yaml", lambda params: params["models"]["lenet_32"].update(lr=0.02))
        assert stages_run(repository, "render@lenet_32") == [f"{stage}@lenet_32" for stage in PER_NETWORK]
        assert {"compare", "track"} <= set(stages_run(repository)) <= OVER_ALL
    finally:
        repository.run("git", "checkout", "-q", ".")
        repository.run("dvc", "checkout", "-q")


def test_a_fresh_clone_with_the_cache_needs_no_training(repository: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "fresh"
    repository.run("git", "clone", "-q", str(repository.path), str(clone))
    repository.run("dvc", "cache", "dir", "--local", str(repository.path / ".dvc/cache"), cwd=clone)
    assert "Running stage" not in repository.run("dvc", "repro", "--allow-missing", "--dry", cwd=clone)
    repository.run("dvc", "checkout", "-q", cwd=clone)
    assert (clone / "champion/champion.onnx").read_bytes() == (repository.path / "champion/champion.onnx").read_bytes()
    repository.run("dvc", "repro", cwd=clone)
    assert runs(repository, clone) == len(NETWORKS)  # MLflow's store does not travel, so it is made there


def runs(repository: Repository, where: Path) -> int:
    """How many the store there holds."""
    script = (
        "import mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "print(len(mlflow.search_runs(experiment_names=['digits'])))\n"
    )
    return int(repository.run("python", "-c", script, cwd=where).splitlines()[-1])


def test_metrics_show_names_every_network(repository: Repository) -> None:
    shown = json.loads(repository.run("dvc", "metrics", "show", "--json"))
    files = shown[""]["data"]
    assert {f"metrics/{name}.json" for name in NETWORKS} == set(files)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_the_page_of_plots_is_whole_without_a_network(repository: Repository) -> None:
    from playwright.sync_api import sync_playwright

    repository.run("dvc", "plots", "show", "--out", "plots")
    page = repository.path / "plots" / "index.html"
    assert "<script src" not in page.read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page()
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        titles = tab.locator("svg .title").all_text_contents()
        lines = tab.locator("svg polyline").count()
        browser.close()
    shutil.rmtree(repository.path / "plots")
    assert set(titles) == {"Validation loss", "Validation accuracy", "Confusion of the champion"}
    assert lines == 2 * len(NETWORKS)
    assert all(url.startswith("file:") for url in asked)


def test_an_experiment_changes_the_layers_in_one_line(repository: Repository) -> None:
    repository.run("dvc", "exp", "run", "-n", "small", "-S", "models.lenet_32.filters=[4,8]", "train@lenet_32")
    try:
        training = json.loads((repository.path / "weights/lenet_32/training.json").read_text())
        assert "small" in repository.run("dvc", "exp", "show", "--csv")
    finally:
        repository.run("git", "checkout", "-q", ".")
        repository.run("dvc", "checkout", "-q")
    assert training["recipe"]["filters"] == [4, 8]


def test_a_typo_ends_the_pipeline_with_one_line(repository: Repository) -> None:
    repository.edit("params.yaml", lambda params: params["models"]["lenet_32"].update(optimizer="adamm"))
    try:
        said = repository.run("dvc", "repro", "train@lenet_32", code=255)
    finally:
        repository.run("git", "checkout", "-q", "params.yaml")
        repository.run("dvc", "checkout", "-q")  # DVC removes what a stage makes before it runs it
    assert "error: params.yaml: models.lenet_32.optimizer is 'adamm'" in said
    assert "Traceback" not in said


def test_the_champion_loads_from_the_registry(repository: Repository) -> None:
    script = (
        "import mlflow, numpy as np\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/cifra-digits@champion')\n"
        "size = model.metadata.signature.inputs.to_dict()[0]['tensor-spec']['shape'][1:]\n"
        "print(model.predict({'image': np.zeros((2, *size), np.uint8)})['logits'].shape)\n"
    )
    assert "(2, 10)" in repository.run("python", "-c", script)


def test_tracking_rebuilds_a_deleted_store(repository: Repository) -> None:
    (repository.path / "mlflow.db").unlink()
    repository.run("python", "-m", "stages.track")
    assert runs(repository, repository.path) == len(NETWORKS)


def test_the_lock_names_no_place_of_this_machine(repository: Repository) -> None:
    assert str(repository.path) not in (repository.path / "dvc.lock").read_text()


def test_every_network_has_an_entry_in_the_lock(repository: Repository) -> None:
    stages = yaml.load(repository.path / "dvc.lock")["stages"]
    assert {f"train@{name}" for name in NETWORKS} <= set(stages)


def test_the_python_of_the_documents_runs(repository: Repository) -> None:
    """Of which the comments are in two languages, and the rest is the same."""
    repository.run("python", "-m", "stages.track")
    texts = [(repository.path / name).read_text(encoding="utf-8") for name in ("docs/serve.md", "docs/serve.es.md")]
    blocks = [
        re.findall(r"^```python\n(.*?)^```", re.sub("  # .*", "", text), re.DOTALL | re.MULTILINE) for text in texts
    ]
    assert blocks[0] == blocks[1]
    for block in blocks[0]:
        repository.run("python", "-c", block)


def test_queued_experiments_run(repository: Repository) -> None:
    """At a path without accents: DVC's queue writes its configuration in ASCII and fails below a folder with one."""
    repository.run("make", "private", "--old-file", ".venv/.installed")
    repository.run("dvc", "exp", "run", "--queue", "-S", "models.lenet_32.epochs=1", "train@lenet_32")
    repository.run("dvc", "queue", "start")
    for _ in range(120):
        status = repository.run("dvc", "queue", "status")
        if "Success" in status or "Failed" in status:
            break
        time.sleep(1)
    assert "Success" in status, repository.run("dvc", "queue", "logs", status.splitlines()[1].split()[0])
    assert "lenet_32.epochs" in repository.run("dvc", "exp", "show", "--csv")
    index = repository.path / ".dvc/site"
    assert index.stat().st_mode & 0o777 == 0o700
    assert len(list(index.glob("repo/*"))) >= 2  # of the repository, and of the folder where the experiment ran
