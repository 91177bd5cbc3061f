"""Every figure is compared with the numbers of the files that it is drawn from."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.table import Table
from matplotlib.text import Annotation, Text
from numpy.typing import NDArray

from serve.inference.layers import Inspector
from serve.inference.model import Model
from stages import evaluate, render
from stages.core.cli import files
from stages.core.cli.paths import FIGURES, METRICS, MODEL_INFO, MODELS, REPORTS, RESULTS, SPLIT, WEIGHTS
from stages.core.data import datasets
from stages.core.figures import curves, inside, scores, style
from stages.core.figures.outcome import Outcome
from stages.core.figures.overview import accuracy_by_class, comparison, correlate, front, overview
from stages.core.figures.style import BLUE, ORANGE
from stages.core.figures.words import LANGUAGES, WORDS, Translator
from stages.core.networks import networks
from stages.core.networks.layers import layer_table
from tests.serve.networks import NETWORKS as GRAPHS
from tests.serve.networks import save
from tests.workspace import CLASSES, PARAMS, Workspace, publish_split

NAMES = {"lenet_28": "lenet_28", "mlp_64_128": "mlp", "lenet_32": "residual"}  # and whose graph stands in for it
CHOSEN = [0, 3]  # test images
OF_ALL = {"samples", "edge_filter", "accuracy_by_class", "comparison", "shared_mistakes"}
OF_EACH = {"steps", "epochs", "confusion", "mistakes", "certainty", "layers", "filters"}
OF_EACH |= {f"feature_maps_{number}" for number in CHOSEN}
OF_CONVOLUTIONS = {"compared_conv1", "compared_conv2"}
SMOOTHED = {"label_smoothing": 0.1, "augment": {"rotation": 10}}
ENGLISH = {key: words[0] for key, words in WORDS.items()}

Figures = dict[str, Figure]


def publish_training(network: str) -> None:
    """Numbers of which no two are alike."""
    recipe = PARAMS["models"][network] | (SMOOTHED if network == "lenet_32" else {})
    layers = {key: recipe[key] for key in ("filters", "widths") if key in recipe}
    shape = networks.input_shape(network, (1, 28, 28))
    rows = layer_table(networks.build(network, shape, 10, **layers), shape)
    totals = {key: sum(row[key] for row in rows) for key in ("parameters", "macs")}
    done = {"epochs": 3, "best_epoch": 2, "fingerprint": "f" * 16}
    columns = {"train_loss": 2.0, "train_accuracy": 0.5, "validation_loss": 1.7, "validation_accuracy": 0.6}
    epochs = [{"epoch": n} | {name: value + 0.07 * n for name, value in columns.items()} for n in (1, 2, 3)]
    files.write_csv(WEIGHTS / network / "epochs.csv", epochs)
    files.write_csv(WEIGHTS / network / "steps.csv", [{"step": n, "loss": 2 + 1 / n} for n in range(1, 91)])
    files.write_json(WEIGHTS / network / "training.json", {"recipe": recipe} | done)
    files.write_json(MODEL_INFO / f"{network}.json", {"bytes": 1, "layers": rows} | totals | done)


def publish_comparison() -> None:
    rows = [
        {
            "network": network,
            **files.read_json(Path("metrics") / f"{network}.json")["test"],
            **{key: files.read_json(MODEL_INFO / f"{network}.json")[key] for key in ("parameters", "macs")},
            "champion": network == "lenet_32",
        }
        for network in NAMES
    ]
    files.write_csv(REPORTS / "comparison.csv", rows)


def publish_all(classes: Sequence[str] = CLASSES) -> None:
    publish_split(train=40, validation=20, test=30)
    files.write_json(SPLIT / "dataset.json", datasets.metadata() | {"classes": classes})
    for name, graph in NAMES.items():
        publish_training(name)
        MODELS.mkdir(exist_ok=True)
        model = GRAPHS[graph]()
        [named] = [entry for entry in model.metadata_props if entry.key == "cifra.classes"]
        named.value = json.dumps(classes)
        save(MODELS, name, model)
        evaluate.main(name)
    publish_comparison()


def drawn(language: str) -> Figures:
    metadata, t = datasets.metadata(), Translator(language)
    rows = files.read_csv(REPORTS / "comparison.csv")
    with style.applied():
        figures = dict(overview(list(NAMES), metadata, rows, CHOSEN[0], t))
        for network in NAMES:
            own = render.draw(Outcome.read(network, metadata), datasets.load("test"), CHOSEN, t)
            figures |= {f"{network}/{name}": figure for name, figure in own}
    return figures


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three networks, trained, exported, evaluated and compared; the working directory of the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        root = tmp_path_factory.mktemp("rendered")
        monkeypatch.chdir(root)
        publish_all()
        yield root


@pytest.fixture(scope="module")
def figures(root: Path) -> Figures:
    return drawn("en")


@pytest.fixture
def trained(workspace: Workspace) -> Workspace:
    publish_all()
    workspace.set(models={name: PARAMS["models"][name] for name in NAMES}, render__test_images=CHOSEN)
    return workspace


def outcome_of(network: str) -> Outcome:
    return Outcome.read(network, datasets.metadata())


def inspector_of(network: str) -> Inspector:
    return Inspector(Model.load(MODELS / f"{network}.onnx"))


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


def table(path: Path, *columns: str) -> list[list[float]]:
    """Those columns of a CSV."""
    rows = files.read_csv(path)
    return [[float(row[column]) for row in rows] for column in columns]


def plots(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


def runs(flags: NDArray[np.bool_]) -> list[slice]:
    """Where flags are set, one after the other."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(start, end) for start, end in edges.reshape(-1, 2)]


def pictures(axes: Axes, side: int) -> NDArray[np.float64]:
    """[N, side, side]: the pictures that frames set apart, row by row."""
    [image] = axes.images
    values = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    drawn = np.isfinite(values) & (values < 1e20)
    blocks = [(row, column) for row in runs(drawn.any(axis=1)) for column in runs(drawn.any(axis=0))]
    found = [values[block] for block in blocks if drawn[block].all()]
    step = len(found[0]) // side
    return np.stack([each[::step, ::step] for each in found])


def said(figure: Figure, text: str) -> bool:
    return any(text in written.replace("\n", " ") for written in texts(figure))


def titled(figure: Figure, name: str) -> Axes:
    [axes] = [axes for axes in figure.axes if axes.get_title("left").startswith(name)]
    return axes


# The networks side by side


def test_every_class_has_its_accuracy_and_interval(figures: Figures) -> None:
    for axes, network in zip(figures["accuracy_by_class"].axes, NAMES, strict=True):
        accuracy, low, high = table(RESULTS / network / "classes.csv", "accuracy", "low", "high")
        intervals, points = axes.collections
        np.testing.assert_allclose(points.get_offsets(), list(zip(accuracy, range(10), strict=True)))
        ends = [segment.tolist() for segment in intervals.get_segments()]
        assert ends == [[[low[row], row], [high[row], row]] for row in range(10)]
        weakest = [to_hex(colour) == ORANGE.lower() for colour in points.get_facecolors()]
        assert weakest == [share == min(accuracy) for share in accuracy]
        test = files.read_json(Path("metrics") / f"{network}.json")["test"]
        assert set(axes.lines[0].get_xdata()) == {test["accuracy"]}
        assert axes.get_title() == f"{network}\n{test['accuracy']:.1%}"
        assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first class on top


@pytest.mark.parametrize(("panel", "cost"), [(0, "parameters"), (1, "macs")])
def test_the_comparison_shows_the_costs_and_accuracies_of_its_table(figures: Figures, panel: int, cost: str) -> None:
    axes = figures["comparison"].axes[panel]
    rows = files.read_csv(REPORTS / "comparison.csv")
    points = {name: line.get_xydata()[0].tolist() for name, line in lines(axes).items() if name[0] != "_"}
    names = {row["network"]: row["network"] for row in rows} | {"lenet_32": "lenet_32 (champion)"}
    assert points == {names[row["network"]]: [float(row[cost]), float(row["accuracy"])] for row in rows}
    ends = [segment.tolist() for collection in axes.collections for segment in collection.get_segments()]
    assert ends == [[[float(row[cost]), float(row[end])] for end in ("low", "high")] for row in rows]
    assert axes.get_xlabel() == ENGLISH[cost]


def test_the_front_has_no_network_that_a_cheaper_one_equals() -> None:
    table = {"cheap": (1, 0.8), "worse": (2, 0.7), "equal": (3, 0.8), "dear": (4, 0.9), "twin": (4, 0.85)}
    rows = [{"network": name, "macs": str(cost), "accuracy": str(right)} for name, (cost, right) in table.items()]
    assert front(rows, "macs") == [(1, 0.8), (4, 0.9)]


def test_no_two_of_many_networks_look_alike(root: Path) -> None:
    row = files.read_csv(REPORTS / "comparison.csv")[0]
    rows = [row | {"network": f"network {number}"} for number in range(30)]
    with style.applied():
        axes = comparison(rows, [outcome_of("lenet_28")], Translator("en")).axes[0]
    points = [line for line in axes.lines if str(line.get_label())[0] != "_"]
    looks = {(line.get_color(), line.get_marker(), line.get_markerfacecolor()) for line in points}
    assert len(looks) == 30


def test_samples_are_training_images_below_their_classes(figures: Figures) -> None:
    train = datasets.load("train")
    first, by_class = figures["samples"].axes
    np.testing.assert_array_equal(pictures(first, 28), train.images[:16, 0])
    assert [text.get_text() for text in first.texts] == [str(label) for label in train.labels[:16]]
    of_classes = [train.images[train.labels == label, 0][:8] for label in range(10)]
    np.testing.assert_array_equal(pictures(by_class, 28), np.concatenate(of_classes))
    heights = [text.get_position()[1] for text in by_class.texts]
    assert [text.get_text() for text in by_class.texts] == [str(label) for label in range(10)]
    np.testing.assert_allclose(heights, (np.arange(10) + 0.5) * by_class.images[0].get_size()[0] / 10)


def test_the_edge_filter_shows_what_it_makes_of_the_image(figures: Figures) -> None:
    left, middle, right = figures["edge_filter"].axes
    image = datasets.load("test").images[CHOSEN[0], 0]
    result = correlate(image, np.array([[-1] * 3, [0] * 3, [1] * 3]))
    np.testing.assert_array_equal(left.images[0].get_array(), image)
    np.testing.assert_allclose(right.images[0].get_array(), result)
    assert [text.get_text() for text in middle.texts] == ["−1"] * 3 + ["0"] * 3 + ["1"] * 3
    row, column = np.unravel_index(result.argmax(), result.shape)
    corners = [patch.get_xy() for axes in (left, right) for patch in axes.patches if isinstance(patch, Rectangle)]
    assert corners == [(column - 0.5, row - 0.5)] * 2
    [value] = [text for text in right.texts if isinstance(text, Annotation)]
    assert float(value.get_text()) == pytest.approx(result.max(), rel=0.01)


def test_the_samples_are_counted(figures: Figures) -> None:
    counts = "40 images to train on, 20 to choose by and 30 to test on, in 10 classes."
    assert said(figures["samples"], counts)


@pytest.mark.parametrize(
    ("name", "panel", "axis", "unit"),
    [
        ("accuracy_by_class", 0, "x", 0.01),
        ("comparison", 0, "y", 0.01),
        ("comparison", 1, "x", 1),
        ("lenet_28/epochs", 0, "y", 1),
        ("lenet_28/epochs", 1, "y", 0.01),
        ("lenet_28/steps", 0, "x", 1),
        ("lenet_28/certainty", 0, "x", 0.01),
        ("lenet_28/certainty", 1, "y", 0.01),
        ("lenet_28/feature_maps_0", 5, "y", 1),
    ],
)
def test_ticks_say_where_they_stand(figures: Figures, name: str, panel: int, axis: str, unit: float) -> None:
    figures[name].draw_without_rendering()
    axes = figures[name].axes[panel]
    ticks = (axes.xaxis if axis == "x" else axes.yaxis).get_major_ticks()
    labelled = [(tick.get_loc(), tick.label1.get_text()) for tick in ticks if tick.label1.get_text()]
    assert len(labelled) > 1
    for place, text in labelled:
        number = text.replace("−", "-").replace(",", "").replace("\u00a0k", "e3").replace("\u00a0M", "e6")
        assert float(number) * unit == pytest.approx(place, rel=0.01)


def test_no_point_of_a_curve_is_out_of_sight(figures: Figures) -> None:
    for axes in [*figures["lenet_28/steps"].axes, *figures["lenet_32/epochs"].axes, *figures["comparison"].axes]:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        for line in axes.lines:
            if line.get_transform() == axes.transData:
                x, y = line.get_data()
                assert left <= min(x) <= max(x) <= right
                assert bottom <= min(y) <= max(y) <= top


def test_the_scale_of_the_comparison_stretches_towards_all_right(figures: Figures) -> None:
    transform = figures["comparison"].axes[0].yaxis.get_transform()
    low, middle, high = transform.transform(np.array([[0.5], [0.75], [0.875]])).ravel()
    assert high - middle == pytest.approx(middle - low)


# How one network learnt


def test_steps_show_every_loss_and_its_running_mean(figures: Figures) -> None:
    [axes] = figures["lenet_28/steps"].axes
    update, mean = lines(axes)["each update"], lines(axes)["mean over 60 updates"]
    steps, losses = table(WEIGHTS / "lenet_28" / "steps.csv", "step", "loss")
    np.testing.assert_allclose(update.get_xydata(), list(zip(steps, losses, strict=True)))
    means = [(sum(losses[start : start + 60]) / 60) for start in range(31)]
    np.testing.assert_allclose(mean.get_ydata(), means)
    np.testing.assert_allclose(mean.get_xdata(), [np.mean(steps[start : start + 60]) for start in range(31)])
    ends = [segment[0][0] for segment in axes.collections[0].get_segments()]
    assert ends == [30.5, 60.5]  # of the first and the second of three epochs


def test_a_training_shorter_than_the_window_has_no_running_mean(root: Path) -> None:
    outcome = outcome_of("lenet_28")
    with style.applied():
        [axes] = curves.steps(replace(outcome, steps=outcome.steps[:59]), Translator("en")).axes
    assert list(lines(axes)) == ["each update"]


@pytest.mark.parametrize(
    ("network", "panels"),
    [
        ("lenet_28", {"loss": ["train_loss", "validation_loss"]}),
        ("lenet_32", {"training loss": ["train_loss"], "validation loss": ["validation_loss"]}),
    ],
)
def test_epochs_show_their_columns_and_never_two_kinds_of_loss_together(
    figures: Figures, network: str, panels: dict[str, list[str]]
) -> None:
    panels = panels | {"accuracy (%)": ["train_accuracy", "validation_accuracy"]}
    assert [axes.get_ylabel() for axes in figures[f"{network}/epochs"].axes] == list(panels)
    for axes, columns in zip(figures[f"{network}/epochs"].axes, panels.values(), strict=True):
        best, *curve = axes.lines
        assert best.get_xdata() == [2, 2]
        for line, column in zip(curve, columns, strict=True):
            values = table(WEIGHTS / network / "epochs.csv", "epoch", column)
            np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], values)
            name, colour = ("training", BLUE) if "train" in column else ("validation", ORANGE)
            assert (line.get_label(), line.get_color()) == (name, colour)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"loss": "cross_entropy"}, "cross-entropy in nats"),
        ({"loss": "mse"}, "mean squared error"),
        ({"loss": "cross_entropy"} | SMOOTHED, "cross-entropy in nats, label smoothing 0.1, augmented images"),
    ],
)
def test_the_training_loss_is_called_what_it_is(recipe: dict[str, Any], said: str) -> None:
    assert curves.objective(recipe, Translator("en")) == said


# What one network answers


def test_the_confusion_matrix_shows_its_counts(figures: Figures) -> None:
    [axes] = figures["lenet_28/confusion"].axes
    cells = files.read_csv(RESULTS / "lenet_28" / "confusion.csv")
    shown = {text.get_position(): text.get_text() for text in axes.texts if text.get_text()}
    wanted = {(int(cell["predicted"]), int(cell["actual"])): cell["images"] for cell in cells if cell["images"] != "0"}
    assert shown == wanted
    colours = axes.collections[0].get_array()
    for (column, row), _ in shown.items():
        assert np.sign(colours[row, column]) == (-1 if row == column else 1)  # blue where it is right
    test = files.read_json(Path("metrics") / "lenet_28.json")["test"]
    right = sum(int(cell["images"]) for cell in cells if cell["actual"] == cell["predicted"])
    interval = f"{test['accuracy']:.1%} (95% interval {test['low']:.1%} to {test['high']:.1%})"
    assert said(figures["lenet_28/confusion"], f"{right} of 30 test images right: {interval}.")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer of the network", "actual class")
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_the_more_of_a_row_is_mistaken_the_darker_it_is() -> None:
    shades = scores.shades(np.array([[5, 5, 0], [1, 8, 1], [0, 0, 10]]))
    assert shades[0, 1] > shades[1, 0] > shades[0, 2] == 0
    assert shades[2, 2] < shades[1, 1] < shades[0, 0] < 0


@pytest.mark.parametrize("network", NAMES)
def test_certainty_shows_its_bins_its_refusals_and_its_errors(figures: Figures, network: str) -> None:
    figure = figures[f"{network}/certainty"]
    reliability, coverage = plots(figure)
    images, *points = table(RESULTS / network / "reliability.csv", "images", "confidence", "accuracy")
    [dots] = reliability.collections
    np.testing.assert_allclose(dots.get_offsets(), np.transpose(points))
    assert np.argmax(dots.get_sizes()) == np.argmax(images)
    [curve] = coverage.lines
    np.testing.assert_allclose(curve.get_data(), table(RESULTS / network / "coverage.csv", "answered", "accuracy"))
    known = files.read_json(METRICS / f"{network}.json")["certainty"]
    assert said(figure, f"Calibration error {100 * known['smooth_error']:.1f}%")
    assert said(figure, f"and have {known['set_size']:.2f} classes on average")


def test_the_surest_mistakes_come_first_with_what_was_answered(figures: Figures) -> None:
    rows = files.read_csv(RESULTS / "lenet_28" / "predictions.csv")
    wrong = [row for row in rows if row["actual"] != row["predicted"]]
    surest = sorted(wrong, key=lambda row: -float(row["confidence"]))[:15]
    images = datasets.load("test").images[:, 0]
    for axes, row in zip(figures["lenet_28/mistakes"].axes, surest, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[int(row["image"])])
        assert axes.get_title() == row["actual"]
        assert axes.get_xlabel() == f"{row['predicted']}  {float(row['confidence']):.0%}"
    assert said(figures["lenet_28/mistakes"], f"{len(wrong)} of 30 test images wrong")


def test_the_images_that_most_networks_get_wrong_come_first(figures: Figures) -> None:
    tables = [files.read_csv(RESULTS / network / "predictions.csv") for network in NAMES]
    wrong = [sum(row["actual"] != row["predicted"] for row in rows) for rows in zip(*tables, strict=True)]
    figure = figures["shared_mistakes"]
    counts = [int(axes.get_xlabel().split()[-1].removesuffix("/3")) for axes in figure.axes]
    assert counts == sorted(wrong, reverse=True)[:15]
    hardest = wrong.index(3)
    assert figure.axes[0].get_title() == tables[0][hardest]["actual"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), datasets.load("test").images[hardest, 0])
    assert said(figure, f"{wrong.count(3)} are missed by all")


def test_a_network_without_mistakes_says_so(root: Path) -> None:
    outcome = outcome_of("lenet_28")
    right = [row | {"predicted": row["actual"]} for row in outcome.predictions]
    with style.applied():
        figure = scores.mistakes(
            replace(outcome, predictions=right), datasets.load("test").images[:, 0], Translator("en")
        )
    assert ENGLISH["mistakes_none"] in texts(figure)


def test_mistakes_on_disputed_labels_are_counted(root: Path) -> None:
    outcome = replace(outcome_of("lenet_28"), disputed={"images": 15, "mistakes": 3})
    with style.applied():
        figure = scores.mistakes(outcome, datasets.load("test").images, Translator("en"))
    assert said(figure, "3 of them are among the 15 images whose label people dispute.")


def test_the_table_of_layers_shows_their_description(figures: Figures) -> None:
    [axes] = figures["lenet_28/layers"].axes
    [drawn] = axes.findobj(Table)
    cells = drawn.get_celld()
    shown = [[cells[row, column].get_text().get_text() for column in range(9)] for row in range(4)]
    assert shown == [
        ["layer", "kind", "input", "output", "F", "S", "P", "output size O", "parameters"],
        ["conv1", "convolution", "1×28×28", "6×28×28", "5", "1", "2", "(28 − 5 + 2·2) / 1 + 1 = 28", "156"],
        ["relu1", "ReLU", "6×28×28", "6×28×28", "", "", "", "", ""],
        ["pool1", "max pooling", "6×28×28", "6×14×14", "2", "2", "0", "(28 − 2 + 2·0) / 2 + 1 = 14", ""],
    ]
    assert len(cells) == 9 * (1 + len(files.read_json(MODEL_INFO / "lenet_28.json")["layers"]))


# What happens inside one network


def test_filters_are_the_weights_of_the_first_layer(figures: Figures) -> None:
    weights = inspector_of("lenet_28").weights("conv1")
    [axes] = figures["lenet_28/filters"].axes
    np.testing.assert_array_equal(pictures(axes, 5), weights["weight"][:, 0])
    labels = [f"{n}   b {bias:z.2f}".replace("-", "−") for n, bias in enumerate(weights["bias"], start=1)]
    assert [text.get_text() for text in axes.texts] == labels


def test_a_dense_first_layer_shows_its_most_active_units(figures: Figures) -> None:
    inspector = inspector_of("mlp_64_128")
    activity = inspector.activations(datasets.load("test").images)["fc1"].clip(min=0).mean(axis=0)
    most = np.argsort(-activity, kind="stable")[:32]
    [axes] = figures["mlp_64_128/filters"].axes
    np.testing.assert_array_equal(pictures(axes, 28), inspector.weights("fc1")["weight"][most].reshape(-1, 28, 28))
    assert [int(text.get_text().split()[0]) - 1 for text in axes.texts] == most.tolist()


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("network", NAMES)
def test_feature_maps_are_the_activations_of_the_image(figures: Figures, network: str, index: int) -> None:
    number, inspector, test = CHOSEN[index], inspector_of(network), datasets.load("test")
    image = datasets.resize(test.images[[number]], inspector.model.input_shape[-1])
    figure = figures[f"{network}/feature_maps_{number}"]
    np.testing.assert_array_equal(pictures(titled(figure, "image"), image.shape[-1])[0], image[0, 0])
    activations = inspector.activations(image)
    for layer in inspector.layers:
        if layer.kind not in ("convolution", "pooling", "dense"):
            continue
        value, axes = activations[layer.name][0], titled(figure, layer.name)
        if value.shape[1:] not in ((), (1, 1)):
            np.testing.assert_array_equal(pictures(axes, value.shape[-1]), value)
            continue
        above, below = (patch.get_data().values for patch in axes.findobj(StepPatch))
        np.testing.assert_array_equal(above + below, value.ravel())
        assert above.min() >= 0 >= below.max()
        assert [patch.get_facecolor()[:3] for patch in axes.findobj(StepPatch)] == [to_rgb(ORANGE), to_rgb(BLUE)]
    bars = titled(figure, "probabilities").patches
    probabilities = inspector.answer_of(activations)[0]
    np.testing.assert_allclose([bar.get_height() for bar in bars], probabilities)
    bold = [
        label.get_text() for label in titled(figure, "probabilities").get_xticklabels() if label.get_weight() == "bold"
    ]
    assert bold == [str(test.labels[number])]
    shown, answer = test.labels[number], f"{probabilities.argmax()} ({probabilities.max():.1%})"
    assert said(figure, f"It shows: {shown}. The network says: {answer}.")
    assert [text.get_text() for text in titled(figure, "probabilities").texts] == [f"{p:.0%}" for p in probabilities]


def test_compared_maps_are_those_of_each_image_and_correlate_as_said(figures: Figures) -> None:
    *rows, alike = figures["lenet_28/compared_conv2"].axes
    test = datasets.load("test")
    maps = inspector_of("lenet_28").activations(test.images[CHOSEN])["conv2"]
    for index, (left, right) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        np.testing.assert_array_equal(pictures(left, 28)[0], test.images[CHOSEN[index], 0])
        assert left.get_title("left") == f"no. {CHOSEN[index]}: {test.labels[CHOSEN[index]]}"
        np.testing.assert_array_equal(pictures(right, 8), maps[index])
    correlations = [f"{value:.2f}".replace("-", "−") for value in np.corrcoef(maps.reshape(2, -1)).ravel()]
    assert [text.get_text() for text in alike.texts] == correlations
    named = [f"no. {number}: {test.labels[number]}" for number in CHOSEN]
    assert [label.get_text() for label in alike.get_yticklabels()] == named
    assert [label.get_text() for label in alike.get_xticklabels()] == list(map(str, CHOSEN))


def test_of_too_many_maps_the_first_are_shown_and_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "SHOWN", 4)
    with style.applied():
        figures = dict(render.draw(outcome_of("lenet_28"), datasets.load("test"), [0], Translator("en")))
    activations = inspector_of("lenet_28").activations(datasets.load("test").images[:1])
    axes = titled(figures["feature_maps_0"], "conv1")
    np.testing.assert_array_equal(pictures(axes, 24), activations["conv1"][0, :4])
    assert axes.get_title("right") == "convolution, 6 maps of 24×24, 4 of 6 shown"
    assert len(pictures(figures["filters"].axes[0], 5)) == 4
    assert said(figures["filters"], "4 of 6 shown.")


@pytest.mark.parametrize("name", ["lenet_28/feature_maps_0", "lenet_28/compared_conv1"])
def test_maps_are_blue_below_zero_orange_above_and_white_at_zero(figures: Figures, name: str) -> None:
    scales = [image for image in figures[name].findobj(AxesImage) if image.get_clim()[0] < 0]
    for image in scales:
        low, high = image.get_clim()
        blue, white, orange = image.cmap(image.norm([low / 2, 0.0, high / 2]))
        assert (blue[2] > blue[0], white[:3].tolist(), orange[0] > orange[2]) == (True, [1, 1, 1], True)
        values = np.ma.compressed(np.ma.masked_greater(np.ma.masked_invalid(image.get_array()), 1e20))
        assert low == -high
        assert low <= values.min() <= values.max() <= high
    assert scales


# All figures


def test_render_draws_every_figure_of_one_network(trained: Workspace) -> None:
    outcome = trained.run("render", "lenet_28")
    assert (outcome.code, outcome.err) == (0, "")
    found = {str(path.relative_to(FIGURES)) for path in FIGURES.rglob("*.png")}
    assert found == {f"lenet_28/{name}.png" for name in OF_EACH | OF_CONVOLUTIONS}
    assert max(path.stat().st_size for path in FIGURES.rglob("*.png")) < 300_000


def test_compare_draws_the_figures_over_all_networks(trained: Workspace) -> None:
    outcome = trained.run("compare")
    assert (outcome.code, outcome.err) == (0, "")
    assert {path.stem for path in (REPORTS / "figures").glob("*.png")} == OF_ALL


def test_one_network_alone_can_be_compared(trained: Workspace) -> None:
    trained.set(models={"lenet_28": PARAMS["models"]["lenet_28"]})
    assert trained.run("compare").code == 0


def test_the_same_results_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    with style.applied():
        first, again = drawn("en"), drawn("en")
        for name in ("comparison", "lenet_28/confusion", "lenet_28/feature_maps_0"):
            once, twice = (style.save(each[name], tmp_path / "figure.png").read_bytes() for each in (first, again))
            assert once == twice


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_speak_one_language(root: Path, language: str) -> None:
    own, foreign = set(), set()
    for words in WORDS.values():
        for name, word in zip(LANGUAGES, words, strict=True):
            (own if name == language else foreign).add(word)
    for name, figure in drawn(language).items():
        assert not texts(figure) & (foreign - own), name


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_cut_off_and_no_text_covers_another(root: Path, language: str) -> None:
    for name, figure in drawn(language).items():
        with style.applied():
            assert_legible(figure, name)


def assert_legible(figure: Figure, name: str) -> None:
    """Every text lies within the figure, and on no other."""
    figure.draw_without_rendering()
    page, boxes = figure.bbox, {}
    for text in written(figure):
        boxes[text] = text.get_window_extent().padded(-1)  # pixels: boxes are a little larger than their letters
    for text, box in boxes.items():
        inside = box.x0 >= page.x0 and box.y0 >= page.y0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, f"{name}: {text.get_text()!r} is cut off"
    for one, other in itertools.combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), f"{name}: {one.get_text()!r} covers {other.get_text()!r}"


def written(figure: Figure) -> list[Text]:
    """What is drawn; ticks beyond the limits of an axis are not."""
    hidden = set()
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            ticks = axis.get_major_ticks() + axis.get_minor_ticks()
            seen = axis._update_ticks() if axes.axison and axis.get_visible() else []
            hidden |= {label for tick in ticks if tick not in seen for label in (tick.label1, tick.label2)}
            hidden |= set() if axes.axison else {axis.label}
    return [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


@pytest.mark.parametrize("origin", ["train", "test"])
def test_scores_say_when_the_test_set_helped_to_choose(trained: Workspace, origin: str) -> None:
    files.write_json(SPLIT / "dataset.json", datasets.metadata() | {"validation_from": origin})
    warned = {name for name, figure in drawn("en").items() if ENGLISH["test_chose"] in texts(figure)}
    names = ("epochs", "confusion", "mistakes", "certainty")
    with_scores = {f"{network}/{name}" for network in NAMES for name in names}
    assert warned == (
        with_scores | {"accuracy_by_class", "comparison", "shared_mistakes"} if origin == "test" else set()
    )


@pytest.mark.parametrize("classes", [["yes", "no"], [f"a rather long name {index}" for index in range(26)]])
def test_any_number_of_classes_fits(root: Path, classes: list[str]) -> None:
    outcome = outcome_of("lenet_28")
    by_class = {key: [0.5] * len(classes) for key in outcome.by_class}
    other: dict[str, Any] = {"classes": classes, "by_class": by_class, "confusion": np.eye(len(classes), dtype=int)}
    changed = replace(outcome, **other)
    with style.applied():
        for figure in (scores.confusion(changed, Translator("es")), accuracy_by_class([changed] * 9, Translator("es"))):
            assert texts(figure) >= set(classes)
            assert_legible(figure, "many classes")


@pytest.mark.parametrize("name", ["Ankle boot", "a name as long as a sentence"])
def test_long_names_of_classes_fit(workspace: Workspace, name: str) -> None:
    classes = [f"{name} {digit}" for digit in range(10)]
    publish_all(classes)
    figures = drawn("es")
    with style.applied():
        for each in OF_ALL | {f"lenet_28/{each}" for each in OF_EACH | OF_CONVOLUTIONS}:
            assert_legible(figures[each], each)


def test_a_test_image_that_is_not_there_is_one_line(trained: Workspace) -> None:
    trained.set(render__test_images=[0, 30])
    outcome = trained.run("render", "lenet_28")
    assert outcome.code == 2
    assert outcome.err == (
        "error: params.yaml: render.test_images has 30, but the test set has 30 images: allowed is 0 to 29\n"
    )
    assert not FIGURES.exists()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (WEIGHTS / "lenet_28" / "steps.csv", "steps.csv is missing"),
        (MODELS / "lenet_28.onnx", "dvc repro export@lenet_28"),
    ],
    ids=["weights", "model"],
)
def test_a_file_that_is_missing_is_one_line(trained: Workspace, missing: Path, said: str) -> None:
    missing.unlink()
    outcome = trained.run("render", "lenet_28")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err
    assert not FIGURES.exists() or not list(FIGURES.rglob("*.png"))


def test_a_network_that_params_do_not_name_is_one_line(trained: Workspace) -> None:
    outcome = trained.run("render", "lenet")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "lenet_28" in outcome.err


def test_an_image_chosen_twice_is_drawn_once() -> None:
    assert render.choose([3, 1, 3], 5) == [3, 1]
