from pathlib import Path
from typing import Any

import pytest

from stages.core.cli import params
from stages.core.cli.errors import UserError
from stages.core.networks import networks
from tests.workspace import Workspace


def complaint() -> str:
    with pytest.raises(UserError) as caught:
        networks.check(params.load().models)
    text = str(caught.value)
    assert "\n" not in text
    assert "params.yaml" in text
    return text


def test_our_own_are_valid(workspace: Workspace) -> None:
    chosen = params.load()
    networks.check(chosen.models)
    assert chosen.recipe("lenet_28").layers == {"filters": [6, 16], "widths": [120, 84]}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("dataset", "mnits", "'emnist_digits', 'cifar10', 'idx' or 'folder'"),
        ("accelerator", "gpu", "'auto', 'cpu', 'cuda' or 'mps'"),
        ("language", "fr", "'en' or 'es'"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("threads", 0, "greater than or equal to 1"),
        ("threads", "two", "valid integer"),
        ("digits__test_share", 1.0, "less than 1"),
        ("digits__augmented_copies", -1, "greater than or equal to 0"),
        ("split__validation_from", "tset", "'train' or 'test'"),
        ("split__validation_share", 0, "greater than 0"),
        ("split__image_size", 7, "greater than or equal to 8"),
        ("split__subset__train", 0, "greater than or equal to 1"),
        ("split", [1], "settings, each a name and a value"),
        ("render__test_images", [], "at least 1 item"),
        ("render__test_images", [-1], "greater than or equal to 0"),
        ("models", {}, "at least 1 item"),
        ("models", ["lenet_28"], "dictionary"),
        ("models__lenet_28__optimizer", "sdg", "'sgd', 'adam' or 'adamw'"),
        ("models__lenet_28__loss", "hinge", "'cross_entropy' or 'mse'"),
        ("models__lenet_28__lr", 0, "greater than 0"),
        ("models__lenet_28__lr", float("nan"), "less than or equal to 10"),
        ("models__lenet_28__lr", float("inf"), "less than or equal to 10"),
        ("models__lenet_28__lr", "fast", "valid number"),
        ("models__lenet_28__epochs", 2.5, "valid integer"),
        ("models__lenet_28__epochs", True, "valid integer"),
        ("models__lenet_28__batch_size", 0, "greater than or equal to 1"),
        ("models__lenet_28__batch_size", 10**30, "less than or equal to 1000000"),
        ("models__lenet_28__shuffle", "yes", "valid boolean"),
        ("models__lenet_28__patience", -1, "greater than or equal to 0"),
        ("models__lenet_28__filters", 6, "valid list"),
        ("models__lenet_28__filters", [], "at least 1 item"),
        ("models__lenet_28__widths", [120, 0], "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(workspace: Workspace, key: str, value: Any, wanted: str) -> None:
    workspace.set(**{key: value})
    text = complaint()
    assert key.replace("__", ".") in text
    assert wanted in text
    bad = value[-1] if isinstance(value, list) and key.endswith(("widths", "test_images")) and value else value
    assert repr(bad) in text


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("sede", "seed"),
        ("digits__augmented_copys", "digits.augmented_copies"),
        ("split__valdation_share", "split.validation_share"),
        ("split__subset__trian", "split.subset.train"),
        ("render__test_image", "render.test_images"),
        ("models__lenet_28__optimiser", "models.lenet_28.optimizer"),
        ("models__best_cnn__augment__fashion_mnist__rotations", "models.best_cnn.augment.fashion_mnist.rotation"),
        ("compute__cpu__precison", "compute.cpu.precision"),
        ("models__lenet_28__batchsize", "models.lenet_28.batch_size"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_right_one(workspace: Workspace, key: str, meant: str) -> None:
    workspace.set(**{key: 1})
    text = complaint()
    assert f"'{key.replace('__', '.')}'" in text
    assert f"did you mean '{meant}'?" in text


def test_a_misspelt_data_set_is_named_with_those_there_are(workspace: Workspace) -> None:
    workspace.set(models__best_cnn__augment={"mnst": {"rotation": 5}})
    assert "models.best_cnn.augment.mnst is 'mnst': it should be 'digits', 'mnist'" in complaint()


def test_a_setting_that_was_renamed_by_mistake_is_misspelt_rather_than_missing(workspace: Workspace) -> None:
    workspace.params["sed"] = workspace.params.pop("seed")
    workspace.set()
    assert "unknown setting 'sed': did you mean 'seed'?" in complaint()


@pytest.mark.parametrize(
    "key",
    ["seed", "models", "digits__augmented_copies", "split__subset", "split__subset__test", "models__lenet_28__lr"],
)
def test_a_missing_setting_is_named(workspace: Workspace, key: str) -> None:
    *sections, name = key.split("__")
    section = workspace.params
    for part in sections:
        section = section[part]
    del section[name]
    workspace.set()
    assert f"{key.replace('__', '.')} is missing: add it" in complaint()


@pytest.mark.parametrize(("name", "meant"), [("lenet28", "lenet_28"), ("simple_cn", "simple_cnn")])
def test_an_unknown_network_is_named_with_the_nearest(workspace: Workspace, name: str, meant: str) -> None:
    workspace.set(**{f"models__{name}": workspace.params["models"]["lenet_28"]})
    text = complaint()
    assert f"models.{name}" in text
    assert f"did you mean '{meant}'?" in text
    assert "first_net" in text


def test_a_network_without_an_entry_is_named_with_the_entries(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="unknown network 'lenet28': did you mean 'lenet_28'"):
        params.load().recipe("lenet28")


@pytest.mark.parametrize(("network", "setting"), [("lenet_28", "filters"), ("mlp_64_128", "widths")])
def test_layers_that_a_network_has_must_be_given(workspace: Workspace, network: str, setting: str) -> None:
    del workspace.params["models"][network][setting]
    workspace.set()
    assert f"models.{network}.{setting} is missing" in complaint()


def test_layers_that_a_network_has_not_must_not_be_given(workspace: Workspace) -> None:
    workspace.set(models__mlp_64_128__filters=[3])
    assert "models.mlp_64_128.filters is nothing that this network has: remove it" in complaint()


@pytest.mark.parametrize(
    "text",
    [b"", b"- 1\n", b"hello", b"a: [1\nb: 2", b"language: \xe9\n", b"a: \0\n", b"\tseed: 1", b"[" * 600],
    ids=["empty", "list", "word", "unclosed", "latin-1", "nul", "tab", "deep"],
)
def test_what_is_no_parameters_file_is_said_to_be_none(workspace: Workspace, text: bytes) -> None:
    Path("params.yaml").write_bytes(text)
    assert len(complaint()) < 400


def test_a_key_that_stands_twice_is_refused(workspace: Workspace) -> None:
    with Path("params.yaml").open("a") as file:
        file.write("seed: 7\n")
    assert "duplicate key" in complaint()


def test_a_folder_in_the_place_of_the_file_is_refused(workspace: Workspace) -> None:
    Path("params.yaml").unlink()
    Path("params.yaml").mkdir()
    assert "cannot be read" in complaint()


def test_a_missing_file_says_where_to_run(workspace: Workspace) -> None:
    Path("params.yaml").unlink()
    assert "run from the root of the repository" in complaint()


@pytest.mark.parametrize("written", ["1e-05", "1e-5", "1E-5", "0.00001"])
def test_numbers_are_read_as_dvc_writes_them(workspace: Workspace, written: str) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("lr: 0.001\n", f"lr: {written}\n"))
    assert params.load().recipe("simple_cnn").lr == 1e-5


OLD_NAMES = {
    "speed": "compute",
    "digits.copies": "augmented_copies",
    "digits.augment.turn": "rotation",
    "models.best_cnn.average": "ema_epochs",
    "models.best_cnn.schedule: one_cycle": "linear_warmup_decay",
    "models.best_cnn.augment.digits.slant": "shear",
    "models.best_cnn.augment.digits.zoom": "scale",
    "models.best_cnn.augment.fashion_mnist.mirror": "horizontal_flip",
}


def test_the_names_of_before_are_read_with_a_line_for_each(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    today = params.load()
    text = Path("params.yaml").read_text(encoding="utf-8")
    for old, new in OLD_NAMES.items():
        text = text.replace(new, old.rpartition(".")[2].rpartition(": ")[2])
    Path("params.yaml").write_text(text, encoding="utf-8")
    assert params.load() == today
    lines = capsys.readouterr().err.splitlines()
    for old, new in OLD_NAMES.items():
        assert f"params.yaml: {old} is now called {new}: rename it" in lines


def test_a_network_may_be_called_like_a_setting_of_before(workspace: Workspace) -> None:
    workspace.params["models"] = {"average": workspace.params["models"]["lenet_28"]}
    workspace.set()
    assert list(params.load().models) == ["average"]


@pytest.mark.parametrize(("setting", "digits", "others"), [("lr", 0.5, 0.25), ("batch_size", 8, 16), ("epochs", 3, 4)])
def test_a_setting_of_a_recipe_may_differ_by_data_set(
    workspace: Workspace, setting: str, digits: float, others: float
) -> None:
    workspace.set(**{f"models__lenet_28__{setting}": {"digits": digits, "default": others}})
    for dataset, wanted in (("digits", digits), ("mnist", others)):
        workspace.set(dataset=dataset)
        assert getattr(params.load().recipe("lenet_28"), setting) == wanted


def test_one_value_in_place_of_a_mapping_holds_for_every_data_set(workspace: Workspace) -> None:
    """As `dvc exp run -S models.lenet_28.lr=0.02` sets it."""
    workspace.set(dataset="digits", models__lenet_28__lr=0.02, models__best_cnn__augment={"rotation": 5})
    assert params.load().recipe("lenet_28").lr == 0.02
    augment = params.load().augment_of("best_cnn")
    assert augment is not None
    assert augment.rotation == 5


def test_a_setting_without_a_value_for_the_data_set_is_named(workspace: Workspace) -> None:
    workspace.set(dataset="mnist", models__lenet_28__lr={"digits": 0.1})
    with pytest.raises(UserError, match=r"models\.lenet_28\.lr has no value for mnist: add it, or one for default"):
        params.load().recipe("lenet_28")


def test_a_network_of_ones_own_name_has_the_architecture_that_it_names(workspace: Workspace) -> None:
    own = workspace.params["models"]["lenet_28"] | {"architecture": "lenet_28"}
    workspace.set(models={"mine": own})
    networks.check(params.load().models)
    workspace.set(models={"mine": own | {"architecture": "lenet_288"}})
    assert "models.mine: unknown architecture 'lenet_288': did you mean 'lenet_28'?" in complaint()


@pytest.mark.parametrize("name", ["a/b", "..", "a.b", "", "-a", "a b"])
def test_a_name_that_is_no_file_name_is_refused(workspace: Workspace, name: str) -> None:
    workspace.set(models={name: workspace.params["models"]["lenet_28"] | {"architecture": "lenet_28"}})
    assert "models" in complaint()
