import subprocess
from pathlib import Path
from typing import Any

import pytest

from cifra import results
from stages.core.cli import files
from tests.workspace import Workspace

ROW: dict[str, Any] = {
    "network": "one",
    "accuracy": 0.9875,
    "low": 0.97,
    "high": 0.995,
    "worst_class": "8",
    "worst_accuracy": 0.9,
    "parameters": 61706,
    "macs": 416520,
    "champion": False,
    "validation_from_test": False,
}
HERE = {"accelerator": "cpu", "precision": "fp32", "torch": "2.15.0"}


@pytest.fixture
def compared(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two networks, compared and committed, of a machine like this one."""
    rows = [ROW, ROW | {"network": "two", "accuracy": 0.99, "champion": True}]
    files.write_csv(Path("reports/comparison.csv"), rows)
    for name in ("one", "two"):
        files.write_json(Path("weights", name, "training.json"), HERE)
        files.write_json(Path("model_info", f"{name}.json"), {"computed": HERE})
    monkeypatch.setattr(results, "this_machine", lambda: "cpu, fp32, torch 2.15.0")
    git("init", "-q")
    git("add", "reports", "model_info")
    git("commit", "-qm", "made")
    return workspace


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], check=True)


def test_the_table_has_the_best_first_and_marks_the_champion(compared: Workspace) -> None:
    lines = compared.run("results").out.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["two", "*", "99.00%", "97.0%", "–", "99.5%", "8", "(90.0%)", "61,706", "416,520"],
        ["one", "98.75%", "97.0%", "–", "99.5%", "8", "(90.0%)", "61,706", "416,520"],
    ]
    assert "taken from the test set" not in "\n".join(lines)


def test_a_validation_set_from_the_test_set_is_said(compared: Workspace) -> None:
    files.write_csv(Path("reports/comparison.csv"), [ROW | {"validation_from_test": True}])
    assert "! the validation set was taken from the test set" in compared.run("results").out


def test_what_computed_them_is_said(compared: Workspace) -> None:
    assert "\ncomputed by cpu, fp32, torch 2.15.0\n" in compared.run("results").out
    files.write_json(Path("weights/one/training.json"), HERE | {"precision": "bf16"})
    assert "\ncomputed by cpu, bf16, torch 2.15.0 and cpu, fp32, torch 2.15.0\n" in compared.run("results").out


def test_other_results_than_those_in_git_are_said_to_be(compared: Workspace) -> None:
    files.write_json(Path("model_info/one.json"), {"computed": HERE, "bytes": 1})
    said = compared.run("results").out
    assert "; other results are in git: `git commit -a` keeps these, `git checkout dvc.lock metrics" in said


def test_without_git_the_table_comes_all_the_same(compared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "\ncomputed by cpu, fp32, torch 2.15.0\n" in compared.run("results").out


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (HERE, "the results in git were computed as here (cpu, fp32, torch 2.15.0)"),
        (
            HERE | {"precision": "bf16"},
            "the results in git were computed by cpu, bf16, torch 2.15.0; this machine comp",
        ),
        (None, "there are no results in git that say what computed them"),
    ],
    ids=["as here", "in bf16", "nothing"],
)
def test_before_a_run_it_is_said_whose_results_are_in_git(
    compared: Workspace, recorded: dict[str, str] | None, said: str
) -> None:
    for name in ("one", "two"):
        files.write_json(Path("model_info", f"{name}.json"), {"computed": recorded} if recorded else {})
    assert compared.run("results", "--whose").out.startswith(said)


def test_before_the_first_run_it_is_one_line(workspace: Workspace) -> None:
    outcome = workspace.run("results")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "reports/comparison.csv is missing: run `dvc repro`" in outcome.err
