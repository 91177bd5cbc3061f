"""One's own digit is recognised, through the page's own board and the server's one preparation."""

import os
from pathlib import Path
from typing import Any

import pytest

from bench.page import chosen, recognition
from serve.inference.model import Model
from tests.serve.running import running

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "MNIST"
MODELS = Path(os.environ.get("CIFRA_MNIST_MODELS", ROOT / "models"))
LEAST = 95  # of a hundred


@pytest.fixture
def champion() -> Path:
    path = MODELS / "champion.onnx"
    if not DATA.is_dir():
        pytest.skip("MNIST's test digits are not at ../shared/data/MNIST")
    if not path.is_file() or Model.load(path).metadata.get("dataset") != "mnist":
        pytest.skip(f"{path} is not trained on MNIST: `dataset: mnist` in params.yaml, or CIFRA_MNIST_MODELS")
    return path


@pytest.mark.slow
def test_ninety_five_of_a_hundred_digits_are_recognised(open_page: Any, champion: Path) -> None:
    with running(champion) as found:
        reader = open_page(at=f"http://127.0.0.1:{found.client.port}/")
        right = recognition(reader.page, chosen(DATA, 100))
        reader.page.goto("about:blank")
    assert {way: figures["of"] for way, figures in right.items()} == {"strokes": 100, "pictures": 100}
    assert min(figures["right"] for figures in right.values()) >= LEAST
