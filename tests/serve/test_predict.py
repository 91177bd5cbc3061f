import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from serve import predict
from serve.__main__ import main as serve
from serve.inference.model import Model
from serve.pictures.prepare import MAX_BYTES, prepare_for
from serve.predict import main
from tests.serve.networks import doubting, save


@pytest.fixture
def picture(tmp_path: Path) -> str:
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line([(60, 40), (140, 40), (90, 160)], 0, 12)
    image.save(tmp_path / "seven.png")
    return str(tmp_path / "seven.png")


@pytest.fixture
def network(models_dir: Path) -> list[str]:
    return ["--models", str(models_dir), "--model", "lenet_28"]


def test_each_file_gets_its_label_confidence_and_runners_up(
    picture: str, network: list[str], models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([picture, picture, *network]) == 0
    model = Model.load(models_dir / "lenet_28.onnx")
    probabilities = model.predict(prepare_for(model, Path(picture).read_bytes())[None]).probabilities[0]
    first, second, third = np.argsort(-probabilities)[:3]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"lenet_28, version {model.version}"
    assert lines == [lines[0]] * 2
    assert lines[0].split() == [
        picture, str(first), f"{probabilities[first]:.1%}", "then",
        str(second), f"{probabilities[second]:.1%},", str(third), f"{probabilities[third]:.1%}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("classes", "said"), [(list("0123456789"), "this looks like no digit"), (list("abcdefghij"), "none of its classes")]
)
def test_what_looks_like_none_of_the_classes_is_said(
    classes: list[str], said: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(save(tmp_path, "strange", doubting(classes)))
    assert main([picture, "--model", model]) == 0
    assert said in capsys.readouterr().out
    assert main([picture, "--model", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["doubt"] is True


def test_json_is_one_list_with_everything(picture: str, network: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([picture, "--json", *network]) == 0
    [answer] = json.loads(capsys.readouterr().out)
    assert answer["name"] == picture
    assert answer["model"] == "lenet_28"
    assert len(answer["version"]) == 12
    assert list(answer["probabilities"]) == [str(digit) for digit in range(10)]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["confidence"] == max(answer["probabilities"].values())
    assert answer["probabilities"][answer["label"]] == answer["confidence"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no picture", "not a PNG or JPEG"), (bytes(MAX_BYTES + 9), "at most"), (None, "No such file")],
)
def test_a_bad_file_is_named_and_the_others_are_answered(
    content: bytes | None,
    reason: str,
    picture: str,
    network: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    assert main([str(bad), picture, "--json", *network]) == 2
    shown = capsys.readouterr()
    [complaint] = shown.err.splitlines()
    failed, answered = json.loads(shown.out)
    assert complaint.startswith(f"predict: {bad}: ")
    assert reason in complaint
    assert failed["name"] == str(bad)
    assert reason in failed["error"]
    assert answered["label"] in "0123456789"


def test_a_dash_is_the_standard_input(
    picture: str, network: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path(picture).read_bytes())))
    assert main(["-", "--json", *network]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "-"


def test_a_model_can_be_a_file_of_any_size(picture: str, models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([picture, "--model", str(models_dir / "residual.onnx")]) == 0
    assert capsys.readouterr().out.startswith("residual, version ")


def test_an_unknown_model_is_told_with_those_there_are(
    picture: str, models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([picture, "--models", str(models_dir), "--model", "lenet"]) == 2
    assert "choose from lenet_28, mlp, residual" in capsys.readouterr().err


def test_without_any_model_it_says_how_to_make_one(
    picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([picture, "--models", str(tmp_path)]) == 2
    assert "run `make`" in capsys.readouterr().err


def test_a_damaged_model_is_one_line(picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "champion.onnx").write_bytes(b"no network")
    assert main([picture, "--models", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_serve_predict_is_the_same_command(
    picture: str, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(["predict", picture, *network]) == 0
    assert picture in capsys.readouterr().out


def test_the_champion_is_found_beside_the_models(tmp_path: Path, models_dir: Path) -> None:
    for folder, name in (("models", "lenet_28"), ("champion", "champion")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.onnx").write_bytes((models_dir / "lenet_28.onnx").read_bytes())
    found = predict._model("champion", tmp_path / "models")
    assert found.name == "champion"
