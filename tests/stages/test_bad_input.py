"""Users' mistakes: exit code 2, one line that says what to do, and nothing written."""

from typing import Any

import pytest

from stages.core.cli.paths import METRICS, MODELS, RESULTS, WEIGHTS
from tests.workspace import Outcome, Workspace, publish_split, shell

STAGES = ["download", "split", "train", "export", "evaluate"]
READ_PARAMS = [("download",), ("split",), ("train", "lenet_28")]
OF_A_NETWORK = ["train", "export", "evaluate"]


def complaint(outcome: Outcome) -> str:
    """What the user reads, after a progress line or two."""
    assert outcome.code == 2
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("stage", READ_PARAMS, ids=lambda stage: stage[0])
@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"dataset": "mnits"}, "dataset is 'mnits': it should be 'digits', 'mnist'"),
        ({"accelerator": "gpu"}, "accelerator is 'gpu': it should be 'auto', 'cpu'"),
        ({"models__lenet_28__optimizer": "sdg"}, "models.lenet_28.optimizer is 'sdg': it should be 'sgd'"),
        ({"models__lenet_28__lr": -1}, "models.lenet_28.lr is -1: it should be greater than 0"),
        ({"models__lenet_28__epocs": 1}, "did you mean 'models.lenet_28.epochs'"),
    ],
)
def test_bad_parameters_end_a_stage_before_any_work(
    workspace: Workspace, stage: tuple[str, ...], changes: dict[str, Any], wanted: str
) -> None:
    workspace.set(**changes)
    text = complaint(workspace.run(*stage))
    assert wanted in text
    assert "params.yaml" in text
    assert workspace.files() == {}


def test_an_unknown_network_in_params_yaml_ends_every_training_before_any_work(workspace: Workspace) -> None:
    workspace.set(models__lenet28=workspace.params["models"]["lenet_28"])
    assert "did you mean 'lenet_28'" in complaint(workspace.run("train", "lenet_28"))
    assert workspace.files() == {}


@pytest.mark.parametrize("stage", OF_A_NETWORK)
def test_an_unknown_network_on_the_command_line_is_one_line(workspace: Workspace, stage: str) -> None:
    publish_split()
    before = workspace.files()
    assert "lenet28" in complaint(workspace.run(stage, "lenet28"))
    assert workspace.files() == before


def test_train_suggests_the_network_that_was_meant(workspace: Workspace) -> None:
    publish_split()
    assert "unknown network 'lenet28': did you mean 'lenet_28'" in complaint(workspace.run("train", "lenet28"))


@pytest.mark.parametrize("stage", [("split",), *((stage, "lenet_28") for stage in OF_A_NETWORK)])
def test_a_stage_before_its_time_says_what_to_run(workspace: Workspace, stage: tuple[str, ...]) -> None:
    assert "dvc repro" in complaint(workspace.run(*stage))
    assert workspace.files() == {}


def test_an_absent_accelerator_is_one_line(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    publish_split()
    workspace.set(accelerator="cuda")
    before = workspace.files()
    text = complaint(workspace.run("train", "lenet_28"))
    assert "accelerator cuda is not on this machine, which has cpu" in text
    assert workspace.files() == before


def test_an_image_too_small_for_the_network_is_one_line(workspace: Workspace) -> None:
    publish_split()
    workspace.set(models__lenet_28__filters=[6, 16, 16, 16])
    text = complaint(workspace.run("train", "lenet_28"))
    assert "cannot take images of 1×28×28" in text
    assert not WEIGHTS.exists()


def test_a_diverging_training_is_one_line_and_publishes_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_split()
    workspace.set(models__mlp_64_128__batch_size=64)
    monkeypatch.setattr("stages.core.training.trainer.evaluate", lambda *_: (float("nan"), 0.1))
    assert "is not a number: lower lr (now 0.001) in params.yaml" in complaint(workspace.run("train", "mlp_64_128"))
    assert not WEIGHTS.exists()


@pytest.mark.parametrize("data", [b"", b"not ONNX at all"])
def test_evaluate_refuses_what_is_no_model(workspace: Workspace, data: bytes) -> None:
    publish_split()
    MODELS.mkdir()
    (MODELS / "lenet_28.onnx").write_bytes(data)
    assert "dvc repro export@lenet_28" in complaint(workspace.run("evaluate", "lenet_28"))
    assert not RESULTS.exists()
    assert not METRICS.exists()


def test_an_interruption_is_exit_code_130(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.core.sources.catalogue.read", interrupt)
    assert workspace.run("download") == Outcome(130, "", "interrupted\n")
    assert workspace.files() == {}


@pytest.mark.parametrize("stage", STAGES)
def test_help_says_what_a_stage_does_and_how_to_run_it(workspace: Workspace, stage: str) -> None:
    outcome = workspace.run(stage, "--help")
    network = " [-h] network" if stage in OF_A_NETWORK else " [-h]"
    assert outcome.code == 0
    assert f"usage: python -m stages.{stage}{network}\n" in outcome.out
    assert f"\npython -m stages.{stage}" in outcome.out.replace("    python", "python")


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (("train", "lenet_28"), 2, "", "error: params.yaml: models.lenet_28.optimizer is 'sdg'"),
        pytest.param(("train", "-h"), 0, "usage: python -m stages.train [-h] network", "", marks=pytest.mark.slow),
        pytest.param(("download",), 2, "", "error: params.yaml: models.lenet_28.opt", marks=pytest.mark.slow),
        pytest.param(("split",), 2, "", "error: params.yaml: models.lenet_28.optimizer", marks=pytest.mark.slow),
        pytest.param(("export", "lenet29"), 2, "", "error: data/split", marks=pytest.mark.slow),
        pytest.param(("evaluate", "lenet29"), 2, "", "error: models", marks=pytest.mark.slow),
    ],
)
def test_it_is_so_in_the_shell(workspace: Workspace, arguments: tuple[str, ...], code: int, out: str, err: str) -> None:
    workspace.set(models__lenet_28__optimizer="sdg")
    stage, *rest = arguments
    outcome = shell("-W", "error", "-m", f"stages.{stage}", *rest, cwd=workspace.root)
    assert outcome.code == code
    assert outcome.out.startswith(out)
    assert outcome.err.startswith(err)
    assert outcome.err.count("\n") == bool(err)
    assert workspace.files() == {}
