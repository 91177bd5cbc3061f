from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from stages import render
from stages.core.cli import files
from stages.core.cli.paths import FIGURES, MODEL_INFO, MODELS, REPORTS, SPLIT, WEIGHTS
from stages.core.data import datasets
from stages.core.figures import curves, samples, scores, style
from stages.core.figures.outcome import Outcome
from stages.core.figures.style import Sheet
from stages.core.figures.vocabulary import ENGLISH, SPANISH
from stages.core.figures.words import Translator
from stages.core.networks import networks
from stages.core.networks.layers import layer_table
from tests.serve.networks import NETWORKS as GRAPHS
from tests.serve.networks import save
from tests.workspace import PARAMS, Workspace, publish_split

NAMES = {"lenet_28": "lenet_28", "mlp_64_128": "mlp"}  # and whose graph stands in for it
OF_ALL = {"samples", "edge_filter", "accuracy_by_class", "comparison"}
OF_EACH = {"steps", "epochs", "confusion", "mistakes", "layers", "filters", "feature_maps_0", "feature_maps_3"}
OF_CONVOLUTIONS = {"compared_conv1", "compared_conv2"}


def publish_training(network: str) -> None:
    recipe = PARAMS["models"][network]
    layers = {key: recipe[key] for key in ("filters", "widths") if key in recipe}
    rows = layer_table(networks.build(network, (1, 28, 28), 10, **layers), (1, 28, 28))
    totals = {key: sum(row[key] for row in rows) for key in ("parameters", "macs")}
    done = {"epochs": 3, "best_epoch": 2, "fingerprint": "f" * 16}
    columns = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    files.write_csv(WEIGHTS / network / "epochs.csv", [{"epoch": n} | dict.fromkeys(columns, 1 / n) for n in (1, 2, 3)])
    files.write_csv(WEIGHTS / network / "steps.csv", [{"step": n, "loss": 2 / n} for n in range(1, 91)])
    files.write_json(WEIGHTS / network / "training.json", {"recipe": recipe} | done)
    files.write_json(MODEL_INFO / f"{network}.json", {"bytes": 1, "layers": rows} | totals | done)


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    """Two networks, trained, exported, evaluated and compared."""
    publish_split(train=40, validation=20, test=30)
    workspace.set(models={name: PARAMS["models"][name] for name in NAMES}, render__test_images=[0, 3])
    for name, graph in NAMES.items():
        publish_training(name)
        save(MODELS, name, GRAPHS[graph]())
        assert workspace.run("evaluate", name).code == 0
    assert workspace.run("compare").code == 0
    return workspace


def drawn(language: str) -> list[tuple[str, Sheet]]:
    metadata = datasets.metadata()
    outcomes = [Outcome.read(name, metadata) for name in NAMES]
    with style.applied():
        return list(render.draw(outcomes, metadata, datasets.load("test"), [0, 3], Translator(language)))


def texts(sheet: Sheet) -> set[str]:
    return {text.get_text() for text in sheet.figure.findobj(Text)}


def test_every_figure_is_drawn(trained: Workspace) -> None:
    outcome = trained.run("render")
    assert (outcome.code, outcome.err) == (0, "")
    found = {str(path.relative_to(FIGURES).with_suffix("")) for path in FIGURES.rglob("*.png")}
    inside = {f"{network}/{name}" for network in NAMES for name in OF_EACH}
    assert found == OF_ALL | inside | {f"lenet_28/{name}" for name in OF_CONVOLUTIONS}
    assert max(path.stat().st_size for path in FIGURES.rglob("*.png")) < 300_000


def test_the_same_results_give_the_same_bytes(trained: Workspace, tmp_path: Path) -> None:
    for folder in ("once", "again"):
        with style.applied():
            for name, sheet in drawn("es")[:8]:
                sheet.save(tmp_path / folder / f"{name}.png")
    once, again = (sorted((tmp_path / folder).rglob("*.png")) for folder in ("once", "again"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    assert len(once) == 8


@pytest.mark.parametrize(("language", "other"), [("en", SPANISH), ("es", ENGLISH)])
def test_figures_speak_one_language(trained: Workspace, language: str, other: dict[str, str]) -> None:
    own = ENGLISH if language == "en" else SPANISH
    foreign = {other[key] for key in own if other[key] != own[key]} - set(own.values()) - {"flatten"}  # a layer's name
    for name, sheet in drawn(language):
        assert not texts(sheet) & foreign, name


def beyond(sheet: Sheet, written: Iterable[Text]) -> list[str]:
    """What of it does not lie on the page."""
    sheet.canvas.draw()  # type: ignore[no-untyped-call]
    width, height = sheet.figure.bbox.size
    boxes = {text: text.get_window_extent() for text in written if text.get_text()}
    return [
        text.get_text()
        for text, box in boxes.items()
        if not (box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height)
    ]


def test_nothing_is_written_beyond_the_page(trained: Workspace) -> None:
    for name, sheet in drawn("es"):
        plots = sheet.figure.axes[1:]
        labels = [label for axes in plots for label in (axes.title, axes.xaxis.label, axes.yaxis.label)]
        assert beyond(sheet, [*sheet.page.texts, *labels]) == [], name


@pytest.mark.parametrize("origin", ["train", "test"])
def test_scores_say_when_the_test_set_helped_to_choose(trained: Workspace, origin: str) -> None:
    files.write_json(SPLIT / "dataset.json", datasets.metadata() | {"validation_from": origin})
    warned = {name for name, sheet in drawn("en") if ENGLISH["test_chose"] in texts(sheet)}
    with_scores = {f"{network}/{name}" for network in NAMES for name in ("epochs", "confusion", "mistakes")}
    assert warned == (with_scores | {"accuracy_by_class", "comparison"} if origin == "test" else set())


def test_the_champion_is_marked(trained: Workspace) -> None:
    rows = files.read_csv(REPORTS / "comparison.csv")
    champion = next(row["network"] for row in rows if row["champion"] == "True")
    named = {f"{champion} (champion)", *(name for name in NAMES if name != champion)}
    assert named <= texts(dict(drawn("en"))["comparison"])


def test_the_confusion_matrix_shows_its_counts(trained: Workspace) -> None:
    outcome = Outcome.read("lenet_28", datasets.metadata())
    with style.applied():
        counts = [text.get_text() for text in scores.confusion(outcome, Translator("en")).figure.axes[1].texts]
    assert sum(map(int, counts)) == 30 == outcome.confusion.sum()


@pytest.mark.parametrize("classes", [["yes", "no"], [f"a rather long name {index}" for index in range(26)]])
def test_any_number_of_classes_fits(trained: Workspace, classes: list[str]) -> None:
    metadata = datasets.metadata()
    outcome = Outcome.read("lenet_28", metadata)
    by_class = {key: [0.5] * len(classes) for key in outcome.by_class}
    other: dict[str, Any] = {"classes": classes, "by_class": by_class, "confusion": np.eye(len(classes), dtype=int)}
    changed = replace(outcome, **other)
    with style.applied():
        sheets = [
            scores.confusion(changed, Translator("es")),
            scores.accuracy_by_class([changed] * 9, Translator("es")),
        ]
    for sheet in sheets:
        names = {text for text in sheet.figure.findobj(Text) if text.get_text() in classes}
        assert {text.get_text() for text in names} == set(classes)
        assert beyond(sheet, names) == []


def test_a_training_shorter_than_the_window_has_no_running_mean(trained: Workspace) -> None:
    outcome = Outcome.read("lenet_28", datasets.metadata())
    with style.applied():
        long, short = (
            curves.steps(replace(outcome, steps=outcome.steps[:count]), Translator("en")) for count in (90, 59)
        )
    assert "mean over 60 updates" in texts(long) - texts(short)


def test_a_network_without_mistakes_says_so(trained: Workspace) -> None:
    outcome = Outcome.read("lenet_28", datasets.metadata())
    right = [row | {"predicted": row["actual"]} for row in outcome.predictions]
    with style.applied():
        sheet = samples.mistakes(
            replace(outcome, predictions=right), datasets.load("test").images[:, 0], Translator("en")
        )
    assert ENGLISH["mistakes_none"] in texts(sheet)


def test_a_test_image_that_is_not_there_is_one_line(trained: Workspace) -> None:
    trained.set(render__test_images=[0, 30])
    outcome = trained.run("render")
    assert outcome.code == 2
    assert outcome.err == (
        "error: params.yaml: render.test_images has 30, but the test set has 30 images: allowed is 0 to 29\n"
    )
    assert not FIGURES.exists()


def test_a_network_that_was_not_trained_is_one_line(trained: Workspace) -> None:
    (WEIGHTS / "lenet_28" / "steps.csv").unlink()
    outcome = trained.run("render")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "steps.csv is missing" in outcome.err


def test_an_image_chosen_twice_is_drawn_once() -> None:
    assert render.choose([3, 1, 3], 5) == [3, 1]
