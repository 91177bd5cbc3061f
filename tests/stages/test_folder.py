"""Images of one's own, from the folder to the answers."""

import csv
import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serve.inference.model import Model
from serve.pictures.prepare import prepare_for
from stages.core.cli.paths import MODELS, RAW
from stages.core.data import datasets
from tests.photographs import CLASSES, photographs, write
from tests.workspace import PARAMS, Outcome, Workspace, easy_images

SMALL = PARAMS["models"]["fast_cnn"] | {"architecture": "fast_cnn", "filters": [4, 8, 8], "epochs": 1, "batch_size": 16}


@pytest.fixture
def own(workspace: Workspace) -> Workspace:
    workspace.set(dataset="folder", models={"small": SMALL}, render__test_images=[0])
    return workspace


def downloaded(workspace: Workspace, **changes: Any) -> dict[str, Any]:
    workspace.set(**changes)
    outcome = workspace.run("download")
    assert (outcome.code, outcome.err) == (0, "")
    return datasets.metadata(RAW) | datasets.arrays(RAW)


def refused(workspace: Workspace) -> str:
    outcome = workspace.run("download")
    assert outcome.code == 2
    assert not RAW.exists()
    return outcome.err


def test_a_folder_goes_through_the_pipeline_to_the_answer_that_is_served(own: Workspace) -> None:
    write(Path("photos"), 150, 24)
    for stage, *arguments in (("download",), ("split",), ("train", "small"), ("export", "small"), ("evaluate", "small"),
                              ("render", "small"), ("compare",), ("samples",)):  # fmt: skip
        outcome: Outcome = own.run(stage, *arguments)
        assert outcome.code == 0, outcome.err
    model = Model.load(MODELS / "small.onnx")
    assert model.classes == sorted(CLASSES)
    assert model.input_shape == (3, 24, 24)
    name, test = datasets.metadata()["names"]["test"][0], datasets.load("test")
    assert np.array_equal(prepare_for(model, (Path("photos") / name).read_bytes()), test.images[0])
    assert len(list(Path("figures/small").glob("*.png"))) > 5
    assert np.load("samples/samples.npy").shape == (30, 3, 24, 24)


def test_parts_that_are_there_are_taken(own: Workspace) -> None:
    for part, count in (("train", 50), ("validation", 20), ("test", 25)):
        write(Path("photos") / part, count, 16, "png", seed=count)
    found = downloaded(own)
    assert [len(found[f"{part}_labels"]) for part in ("train", "validation", "test")] == [50, 20, 25]
    assert own.run("split").out.endswith("train 50, validation 20, test 25\n")


def test_idx_files_and_the_same_images_as_png_are_the_same(own: Workspace) -> None:
    images, labels = easy_images(60)
    Path("idx").mkdir()
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
        Path(f"idx/train-{kind}-ubyte").write_bytes(header + array.tobytes())
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Path(f"photos/{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(f"photos/{label}/{number}.png")
    idx = downloaded(own, dataset="idx", folder__path="idx")
    png = downloaded(own, dataset="folder", folder__path="photos")
    assert np.array_equal(idx["train_images"], png["train_images"][:, 0])
    assert np.array_equal(idx["train_labels"], png["train_labels"])
    assert idx["classes"] == png["classes"]


def pixels_of(workspace: Workspace, save: Callable[[Path], object], ending: str) -> np.ndarray[Any, Any]:
    """Of a picture among others of 16×16, in colour."""
    write(Path("photos"), 40, 16, "png")
    save(Path(f"photos/square/9999.{ending}"))
    return np.asarray(downloaded(workspace)["train_images"][-1]).astype(int)


def halves(left: Any, right: Any, mode: str = "RGB") -> Image.Image:
    """Of 16×16."""
    image = Image.new(mode, (16, 16), right)
    image.paste(left, (0, 0, 8, 16))
    return image


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff"])
def test_every_format_is_read(own: Workspace, ending: str) -> None:
    image = halves((250, 10, 10), (10, 10, 250))
    found = pixels_of(own, lambda path: image.save(path, quality=100), ending)
    assert found[:, 8, 3].tolist() == pytest.approx((250, 10, 10), abs=12)
    assert found[:, 8, 12].tolist() == pytest.approx((10, 10, 250), abs=12)


@pytest.mark.parametrize(
    ("image", "ending", "left"),
    [
        (halves((250, 10, 10, 255), (0, 0, 0, 0), "RGBA"), "png", (250, 10, 10)),
        (halves((250, 10, 10), (10, 10, 250)).quantize(4), "png", (250, 10, 10)),
        (halves((0, 255, 255, 0), (0, 0, 0, 0), "CMYK"), "tiff", (255, 0, 0)),
        (Image.fromarray(np.full((16, 16), 40_000, np.uint16)), "png", (156, 156, 156)),
        (halves(200, 10, "L"), "png", (200, 200, 200)),
    ],
    ids=["alpha", "palette", "cmyk", "16 bits", "grey"],
)
def test_every_kind_of_pixels_is_read(own: Workspace, image: Image.Image, ending: str, left: tuple[int, ...]) -> None:
    found = pixels_of(own, image.save, ending)
    assert found[:, 8, 3].tolist() == pytest.approx(left, abs=2)


def test_transparency_is_white(own: Workspace) -> None:
    found = pixels_of(own, halves((250, 10, 10, 255), (0, 0, 0, 0), "RGBA").save, "png")
    assert found[:, 8, 12].tolist() == [255, 255, 255]


def test_a_photograph_stands_upright_as_its_exif_says(own: Workspace) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    found = pixels_of(own, lambda path: halves((250, 10, 10), (10, 10, 250)).save(path, exif=exif), "png")
    assert found[:, 3, 8].tolist() == [250, 10, 10]
    assert found[:, 12, 8].tolist() == [10, 10, 250]


@pytest.mark.parametrize(("fit", "corner", "middle"), [("crop", 200, 200), ("pad", 0, 200), ("stretch", 200, 200)])
def test_what_is_not_square_is_made_to_fit(own: Workspace, fit: str, corner: int, middle: int) -> None:
    write(Path("photos"), 40, 16, "png")
    Image.new("L", (32, 16), 200).save("photos/square/9999.png")
    found = downloaded(own, folder__fit=fit, folder__image_size=16)["train_images"][-1]
    assert (found[0, 0, 0], found[0, 8, 8]) == (corner, middle)


def test_size_channels_and_classes_can_be_set(own: Workspace) -> None:
    write(Path("photos"), 40, 16, "png")
    found = downloaded(own, folder__image_size=12, folder__channels=1, folder__classes=["square", "ring"])
    assert found["train_images"].shape == (16, 1, 12, 12)
    assert found["classes"] == ["square", "ring"]


def test_what_belongs_together_stands_in_one_set(own: Workspace) -> None:
    with_groups(own, 120, 6)
    downloaded(own)
    assert own.run("split").code == 0
    seen = [{Path(name).stem.split("-")[0] for name in names} for names in datasets.metadata()["names"].values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 20


def with_groups(workspace: Workspace, count: int, together: int) -> None:
    Path("photos").mkdir()
    with Path("photos/labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "group"])
        for number, (label, image) in enumerate(photographs(count, 16)):
            group = number // (together * 5) * 5 + number % 5
            image.save(f"photos/{group}-{number}.png")
            table.writerow([f"{group}-{number}.png", label, f"thing {group}"])


def test_duplicates_across_parts_are_named(own: Workspace) -> None:
    for part in ("train", "test"):
        write(Path("photos") / part, 40, 48, "png", seed=len(part))
    twice = next(iter(photographs(1, 48, seed=9)))[1]
    twice.save("photos/train/square/100.png")
    twice.save("photos/test/square/200.jpg", quality=95)
    downloaded(own)
    told = own.run("split")
    assert told.code == 0
    assert re.search(
        r"train/square/100.png \(\w+\) and test/square/200.jpg \(test\): nearly the same picture", told.err
    )


def test_everything_unreadable_is_named_at_once(own: Workspace) -> None:
    write(Path("photos"), 40, 16, "png")
    good = Path("photos/square/00001.png").read_bytes()
    bad = {"empty.png": b"", "cut.png": good[: len(good) // 2], "text.jpg": b"a text"}
    for name, data in bad.items():
        Path(f"photos/ring/{name}").write_bytes(data)
    said = refused(own)
    assert said.startswith("error: 3 of your images: cannot be read.\n")
    assert "ring/empty.png: the file is empty" in said
    assert "ring/cut.png: the image is damaged" in said
    assert "ring/text.jpg: not a PNG" in said


def test_of_many_faults_ten_are_told(own: Workspace) -> None:
    write(Path("photos"), 40, 16, "png")
    for number in range(25):
        Path(f"photos/ring/x{number}.png").touch()
    said = refused(own)
    assert said.count("\n") == 12
    assert "… and 15 more" in said


def another_label(folder: Path) -> None:
    (folder / "ring/same.png").write_bytes((folder / "square/00001.png").read_bytes())


def one_class(folder: Path) -> None:
    for label in CLASSES[1:]:
        (folder / label).rename(folder.parent / label)


def one_image(folder: Path) -> None:
    (folder / "alone").mkdir()
    Image.new("RGB", (16, 16), "red").save(folder / "alone/1.png")


def a_loop(folder: Path) -> None:
    (folder / "ring/again").symlink_to(folder.absolute() / "ring", target_is_directory=True)


def case_alone(folder: Path) -> None:
    (folder / "Square").mkdir()
    (folder / "Square/1.png").write_bytes((folder / "square/00001.png").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (another_label, "the same image under two labels"),
        (one_class, "the one class 'círculo rojo'"),
        (one_image, "class 'alone' has 1 images of which no parts can be made"),
        (a_loop, "ring/again: a link that loops"),
        (case_alone, "their names differ in case alone"),
        (lambda folder: (folder / "ring/notes.txt").touch(), "ring/notes.txt: no picture by its name"),
        (lambda folder: (folder / "test").mkdir(), "has test/ but no train/"),
        (lambda folder: folder.rename("elsewhere"), "there is no folder photos"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(own: Workspace, spoil: Callable[[Path], Any], wanted: str) -> None:
    write(Path("photos"), 40, 16, "png")
    spoil(Path("photos"))
    assert wanted in refused(own)


def test_names_of_any_alphabet_are_taken(own: Workspace) -> None:
    for label in ("café olé", "🐈 cat", "日本"):
        Path("photos", label).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(np.random.default_rng([number, len(label)]).integers(0, 9, (9, 9), np.uint8)).save(
                Path("photos", label, f"{number} ñ.png")
            )
    assert downloaded(own)["classes"] == ["café olé", "日本", "🐈 cat"]


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("a,b\n1,2\n", "needs a first line with the columns path and label"),
        ("path,label\nx.png,\n", "line 2: x.png has no label"),
        ("path,label\nx.png,a\nx.png,b\n", "line 3: x.png stands there twice"),
        ("path,label,part\nx.png,a,exam\n", "is of the part 'exam'"),
        ("path,label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(9)), "0.png: No such file"),
    ],
)
def test_a_bad_table_is_refused(own: Workspace, table: str, wanted: str) -> None:
    Path("photos").mkdir()
    Path("photos/labels.csv").write_text(table)
    assert wanted in refused(own)


def test_cifar10_is_in_colour(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import tarfile

    from stages.core.sources import catalogue

    rows = np.random.default_rng(0).integers(0, 10, (10, 3073), np.uint8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        parts = {f"data_batch_{n}.bin": rows.tobytes() for n in range(1, 6)} | {"test_batch.bin": rows.tobytes()}
        for name, data in (parts | {"batches.meta.txt": b"airplane\nautomobile\n"}).items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    monkeypatch.setattr(catalogue, "fetch", lambda _: buffer.getvalue())
    source = catalogue.read("cifar10")
    assert source.arrays["train_images"].shape == (50, 3, 32, 32)
    assert source.arrays["test_labels"].tolist() == rows[:, 0].tolist()
    assert source.classes == ("airplane", "automobile")
