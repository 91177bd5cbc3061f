"""A table of answers for folders of pictures."""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from pyarrow import parquet

from serve import batch
from serve.inference.model import Model
from serve.pictures.prepare import prepare_for
from serve.predict import main
from tests.photographs import write


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write(tmp_path / "photos", 20, 40, "png")
    return tmp_path / "photos"


@pytest.fixture
def network(models_dir: Path, tmp_path: Path) -> Path:
    """One that takes whole pictures."""
    proto = onnx.load(models_dir / "lenet_28.onnx")
    proto.metadata_props.add(key="cifra.preparation", value='{"picture":"whole","fit":"crop"}')
    onnx.save(proto, tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_picture_of_the_folder_is_a_row(photos: Path, network: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    assert main([str(photos), "--model", str(network), "--out", str(out)]) == 0
    model = Model.load(network)
    rows = rows_of(out)
    assert [row["name"] for row in rows] == sorted(map(str, photos.rglob("*.png")))
    for row in rows:
        [probabilities] = model.predict(prepare_for(model, Path(row["name"]).read_bytes())[None]).probabilities
        assert row["label"] == str(probabilities.argmax())
        assert float(row["confidence"]) == pytest.approx(float(probabilities.max()), rel=1e-5)


def test_formats_hold_the_same(photos: Path, network: Path, tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        assert main([str(photos), "--model", str(network), "--out", str(tmp_path / f"a.{ending}")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == lines
    assert [(row["name"], row["label"]) for row in rows_of(tmp_path / "a.csv")] == [
        (row["name"], row["label"]) for row in lines
    ]


def test_what_cannot_be_read_is_a_row_and_a_line(
    photos: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = photos / "ring" / "bad.png"
    bad.write_bytes(b"no picture")
    assert main([str(photos), "--model", str(network), "--out", str(tmp_path / "a.csv")]) == 2
    [row] = [row for row in rows_of(tmp_path / "a.csv") if row["error"]]
    assert (row["name"], row["label"]) == (str(bad), "")
    assert f"predict: {bad}: not a PNG" in capsys.readouterr().err


def test_a_run_that_was_cut_off_goes_on(
    photos: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(photos), "--model", str(network), "--out", str(tmp_path / "a.jsonl")]
    assert main(command) == 0
    whole = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "a.jsonl").unlink()
    head = json.dumps({"sha256": Model.load(network).sha256}).encode() + b"\n"
    (tmp_path / "a.jsonl.partial").write_bytes(head + whole[: len(whole) // 2])
    answered: list[str] = []
    of_part = batch._of_part
    monkeypatch.setattr(batch, "_of_part", lambda model, names: answered.extend(names) or of_part(model, names))
    assert main(command) == 0
    assert (tmp_path / "a.jsonl").read_bytes() == whole
    assert 8 <= len(answered) <= 12
    assert not (tmp_path / "a.jsonl.partial").exists()
    assert "of 20 were answered before" in capsys.readouterr().err


def test_processes_answer_the_same_in_the_same_order(
    photos: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [str(photos), "--model", str(network), "--out"]
    assert main([*command, str(tmp_path / "one.csv")]) == 0
    monkeypatch.setattr(batch, "FEW", 1)
    assert main([*command, str(tmp_path / "many.csv")]) == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()


@pytest.mark.parametrize("what", ["there already", "another model", "must end in", "no pictures"])
def test_what_cannot_be_written_is_one_line(
    what: str, photos: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / ("a.txt" if what == "must end in" else "a.csv")
    if what == "there already":
        out.touch()
    if what == "another model":
        (tmp_path / "a.csv.partial").write_text('{"sha256": "0"}\n')
    place = tmp_path / "empty" if what == "no pictures" else photos
    place.mkdir(exist_ok=True)
    before = sorted(tmp_path.iterdir())
    assert main([str(place), "--model", str(network), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert what in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_photographs_of_a_network_for_them_are_prepared_as_its_file_says(photos: Path) -> None:
    from serve.pictures.whole import whole

    data = next(photos.rglob("*.png")).read_bytes()
    assert whole(data, (3, 20, 20), "crop").shape == (3, 20, 20)
    assert np.array_equal(whole(data, (3, 40, 40), "pad"), whole(data, (3, 40, 40), "stretch"))
