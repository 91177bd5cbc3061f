from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from stages import compare
from stages.core.cli import files
from stages.core.cli.paths import CHAMPION, FIGURES, METRICS, MODEL_INFO, MODELS, REPORTS, RESULTS, SPLIT, WEIGHTS
from stages.core.data import datasets
from tests.workspace import Workspace, publish_split

FIRST, SECOND = "simple_cnn", "lenet_28"


def leave(name: str, validation: float, test: float, epochs: int = 2, loss: float = 0.5) -> None:
    """What the stages before leave of one network."""
    metrics = {
        "test": {"accuracy": test, "low": test - 0.1, "high": test + 0.1, "loss": 0.4},
        "classes": {"0": test + 0.05, "1": test - 0.05},
        "validation": {"accuracy": validation, "loss": loss},
    }
    model_info = {"parameters": 7, "macs": 9, "bytes": 5, "epochs": epochs, "best_epoch": 1, "fingerprint": "f0"}
    files.write_json(METRICS / f"{name}.json", metrics)
    files.write_json(MODEL_INFO / f"{name}.json", model_info)
    files.write(MODELS / f"{name}.onnx", f"onnx of {name}".encode())
    answer(name, wrong=[])
    rows = [{"epoch": n, "validation_loss": 1 / n, "validation_accuracy": 1 - 1 / n} for n in range(1, epochs + 1)]
    files.write_csv(WEIGHTS / name / "epochs.csv", rows)


def answer(name: str, wrong: Collection[int], count: int = 40) -> None:
    """Its answers to so many test images, the wrong ones by index."""
    rows = [{"image": n, "actual": "0", "predicted": "1" if n in wrong else "0"} for n in range(count)]
    files.write_csv(RESULTS / name / "predictions.csv", rows)


@pytest.fixture
def two(workspace: Workspace) -> Workspace:
    publish_split()
    workspace.set(models={name: workspace.params["models"][name] for name in (FIRST, SECOND)})
    leave(FIRST, validation=0.9, test=0.8, epochs=3)
    leave(SECOND, validation=0.8, test=0.95)
    workspace.monkeypatch.setattr(compare, "overview", lambda *_: iter(()))  # test_figures draws
    return workspace


def done(workspace: Workspace) -> None:
    outcome = workspace.run("compare")
    assert (outcome.code, outcome.err) == (0, "")


def rows() -> dict[str, dict[str, str]]:
    return {row["network"]: row for row in files.read_csv(REPORTS / "comparison.csv")}


def test_the_validation_set_chooses_the_champion_and_not_the_test_set(two: Workspace) -> None:
    done(two)
    assert files.read_json(REPORTS / "champion.json")["network"] == FIRST
    assert rows()[FIRST]["champion"] == "True"
    assert rows()[SECOND]["champion"] == "False"


def test_the_champion_is_a_copy_of_its_network(two: Workspace) -> None:
    done(two)
    assert (CHAMPION / "champion.onnx").read_bytes() == (MODELS / f"{FIRST}.onnx").read_bytes()
    assert (REPORTS / "predictions.csv").read_bytes() == (RESULTS / FIRST / "predictions.csv").read_bytes()


def test_the_lower_validation_loss_decides_a_draw(two: Workspace) -> None:
    leave(SECOND, validation=0.9, test=0.7, loss=0.1)
    done(two)
    assert rows()[SECOND]["champion"] == "True"


def test_the_table_names_the_worst_class(two: Workspace) -> None:
    done(two)
    assert (rows()[FIRST]["worst_class"], rows()[FIRST]["worst_accuracy"]) == ("1", "0.75")


def test_the_epochs_of_all_networks_are_one_long_table(two: Workspace) -> None:
    done(two)
    table = files.read_csv(REPORTS / "training.csv")
    assert sorted((row["network"], row["epoch"], row["validation_loss"]) for row in table) == [
        (SECOND, "1", "1"),
        (SECOND, "2", "0.5"),
        (FIRST, "1", "1"),
        (FIRST, "2", "0.5"),
        (FIRST, "3", "0.333333"),
    ]


def test_a_network_that_params_no_longer_names_is_gone_from_the_table_and_the_folders(two: Workspace) -> None:
    files.write(FIGURES / SECOND / "epochs.png", b"picture")
    done(two)
    two.set(models={FIRST: two.params["models"][FIRST]})
    done(two)
    assert list(rows()) == [FIRST]
    left = [path for path in Path().rglob("*") if SECOND in str(path)]
    assert left == []


def test_a_network_that_is_added_is_in_the_table(two: Workspace) -> None:
    two.set(models={FIRST: two.params["models"][FIRST]})
    done(two)
    leave("lenet_any", validation=0.95, test=0.7)
    two.set(models=two.params["models"] | {"lenet_any": two.params["models"][FIRST]})
    done(two)
    assert set(rows()) == {FIRST, "lenet_any"}
    assert files.read_json(REPORTS / "champion.json")["network"] == "lenet_any"


@pytest.mark.parametrize("name", ["lenet", "lenet_2", "lenet_288"])
def test_a_name_that_begins_like_another_is_another_network(two: Workspace, name: str) -> None:
    leave(name, validation=0.5, test=0.5)
    done(two)
    assert not (MODELS / f"{name}.onnx").exists()
    assert (MODELS / f"{SECOND}.onnx").exists()


def test_the_table_says_when_the_test_set_helped_to_choose(two: Workspace) -> None:
    files.write_json(SPLIT / "dataset.json", datasets.metadata() | {"validation_from": "test"})
    done(two)
    assert {row["validation_from_test"] for row in rows().values()} == {"True"}
    assert "the test set, which therefore helped to choose" in two.run("results").out


def test_results_prints_every_network_the_best_first(two: Workspace) -> None:
    done(two)
    printed = two.run("results").out
    assert printed.index(SECOND) < printed.index(FIRST)
    assert f"{FIRST} *" in printed


@pytest.mark.parametrize("missing", [METRICS / f"{FIRST}.json", MODEL_INFO / f"{FIRST}.json"], ids=str)
def test_a_missing_file_is_one_line_that_says_what_makes_it(two: Workspace, missing: Any) -> None:
    missing.unlink()
    outcome = two.run("compare")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "dvc repro" in outcome.err


def differences() -> dict[str, dict[str, str]]:
    return {row["network"]: row for row in files.read_csv(REPORTS / "differences.csv")}


@pytest.mark.parametrize(
    ("of_champion", "of_network", "verdict"),
    [
        (range(0), range(12), "worse"),
        (range(12), range(0), "better"),
        (range(5), range(3, 9), "not distinguishable"),
        (range(5), range(5), "not distinguishable"),
        (range(0), range(5), "not distinguishable"),  # six one-way images are the fewest that can tell
    ],
)
def test_only_images_that_one_of_the_two_has_right_tell_them_apart(
    two: Workspace, of_champion: range, of_network: range, verdict: str
) -> None:
    answer(FIRST, wrong=of_champion)
    answer(SECOND, wrong=of_network)
    done(two)
    row = differences()[SECOND]
    assert row["verdict"] == verdict
    assert int(row["only_champion"]) == len(set(of_network) - set(of_champion))
    assert int(row["only_network"]) == len(set(of_champion) - set(of_network))


def test_a_verdict_is_printed_with_what_could_have_been_seen(two: Workspace) -> None:
    answer(FIRST, wrong=range(100), count=2000)
    answer(SECOND, wrong=range(60, 160), count=2000)
    said = two.run("compare").out
    assert f"{SECOND}: not distinguishable: 120 of 2,000 images tell the two apart; a difference of 1.5" in said


def test_the_champion_is_not_compared_with_itself(two: Workspace) -> None:
    done(two)
    row = differences()[FIRST]
    assert (row["verdict"], row["p_holm"], row["words"]) == ("", "", "")


def test_networks_that_answered_different_images_are_refused(two: Workspace) -> None:
    answer(SECOND, wrong=[], count=39)
    outcome = two.run("compare")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "answered different test images" in outcome.err


def test_a_class_without_test_images_is_named_and_is_not_the_worst(two: Workspace) -> None:
    done(two)
    assert rows()[FIRST]["classes_without_images"] == "2 3 4 5 6 7 8 9"
    assert rows()[FIRST]["worst_class"] == "1"


def test_one_network_alone_has_nothing_to_be_compared_with(two: Workspace) -> None:
    two.set(models={FIRST: two.params["models"][FIRST]})
    done(two)
    assert list(differences()) == [FIRST]
