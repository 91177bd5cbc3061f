"""Begin a project of your own: the pipeline, the server and the page in a new repository, and nothing else.

    cifra new ../my-project
    cifra new ../my-project --networks fast_cnn,best_cnn --dataset mnist

It has its own params.yaml and a test that the model which is served is the one that was measured; without results,
documents, measurements and tests of this repository. What it came from stays named in its README.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated, get_args

from ruamel.yaml import YAML

from stages.core.cli.errors import UserError
from stages.core.cli.settings import unknown
from stages.core.data.settings import Dataset

ROOT = Path(__file__).parents[1]
TAKEN = (
    "cifra/", "serve/", "stages/", "photos/", ".dvc/", ".dvcignore", ".gitattributes", ".gitignore", "LICENSE",
    "Makefile", "dvc.yaml", "params.yaml", "pyproject.toml", "requirements", "versions.yaml",
)  # fmt: skip
README = """# {name}

```bash
make                # sets up, trains, compares; then:
python -m serve     # answers on http://127.0.0.1:8000
```

Images: `dataset: {dataset}` in `params.yaml`{own}. Made from Cifra, whose documents explain the rest.
"""
OWN = "; put yours into `photos/`, a folder for each class"
TEST = '''"""The model that is served answers as it was measured. After `dvc repro`."""

import json
from pathlib import Path

import pytest

from serve.inference.model import Model
from stages.core.data import datasets

CHAMPION = Path("champion/champion.onnx")


@pytest.mark.skipif(not CHAMPION.exists(), reason="`dvc repro` makes the model")
def test_the_champion_answers_the_test_images_as_measured() -> None:
    model = Model.load(CHAMPION)
    test = datasets.load("test", model.input_shape[-1])
    answers = [model.predict(image[None]).logits.argmax() for image in test.images]
    measured = json.loads(Path("reports/champion.json").read_text())["accuracy"]
    assert (answers == test.labels).mean() == pytest.approx(measured, abs=1e-6)
'''


def main(
    folder: Annotated[str, "where the project shall be: a new folder, whose name is the project's"],
    dataset: Annotated[str, "the images (default: folder, your own)"] = "folder",
    networks: Annotated[str, "entries of models: in params.yaml that it keeps, with commas between"] = "fast_cnn",
) -> None:
    place = Path(folder)
    if place.exists():
        raise UserError(f"{place} is there already: give the name of a new folder")
    if dataset not in get_args(Dataset):
        raise UserError(unknown("data set", dataset, get_args(Dataset), "one of"))
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    kept = [name.strip() for name in networks.split(",")]
    for name in kept:
        if name not in params["models"]:
            raise UserError(unknown("network", name, list(params["models"]), "one of"))
    params["dataset"] = dataset
    for name in list(params["models"]):
        if name not in kept:
            del params["models"][name]
    for name in tracked():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place / name)
    yaml.dump(params, place / "params.yaml")
    (place / "README.md").write_text(README.format(name=place.name, dataset=dataset, own=OWN * (dataset == "folder")))
    (place / "tests").mkdir()
    (place / "tests/test_champion.py").write_text(TEST)
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    print(f"{place}: {dataset}, {', '.join(kept)}. Next: cd {place}, git add and commit, make")


def tracked() -> list[str]:
    """What git knows of that a project takes along."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name.startswith(TAKEN) and (ROOT / name).exists()]
