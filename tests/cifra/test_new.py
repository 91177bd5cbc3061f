"""A project of one's own, from the command to the answer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from cifra import new
from stages.core.cli.errors import UserError
from tests.photographs import write

YAML_ = YAML(typ="safe")


def test_a_project_has_what_it_needs_and_its_own_parameters(tmp_path: Path) -> None:
    new.main(str(tmp_path / "mine"), networks="fast_cnn,lenet_28")
    params = YAML_.load(tmp_path / "mine/params.yaml")
    assert params["dataset"] == "folder"
    assert set(params["models"]) == {"fast_cnn", "lenet_28"}
    assert {path.name for path in (tmp_path / "mine").iterdir()} >= {"dvc.yaml", "stages", "serve", "photos", ".git"}
    assert not (tmp_path / "mine/dvc.lock").exists()


@pytest.mark.slow
def test_from_a_new_project_to_the_answer(tmp_path: Path) -> None:
    """As its README says, but for the installation."""
    place = tmp_path / "mine"
    new.main(str(place))
    write(place / "photos", 150, 24)

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=place, capture_output=True, text=True, encoding="utf-8", timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("dvc", "repro")
    picture = next((place / "photos/square").glob("*.jpg"))
    assert "fast_cnn" in run("serve", "predict", str(picture), "--model", "fast_cnn")
    run("pytest", "-q")
    (place / "photos/noise").mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"photos/noise/{number}.png")
    run("dvc", "repro", "split")  # nothing is edited for another class
    metadata = json.loads((place / "data/split/dataset.json").read_text(encoding="utf-8"))
    assert "noise" in metadata["classes"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({"networks": "fast_cn"}, "did you mean 'fast_cnn'"), ({"dataset": "imagenet"}, "unknown data set 'imagenet'")],
)
def test_a_project_that_cannot_be_is_not_begun(tmp_path: Path, options: dict[str, str], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        new.main(str(tmp_path / "mine"), **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is there already"):
        new.main(str(tmp_path))
