from pathlib import Path

import numpy as np
import pytest

from stages.core.cli.errors import UserError
from stages.core.cli.paths import RAW
from stages.core.data import datasets
from stages.core.sources import catalogue as sources
from tests.workspace import CLASSES, Workspace, easy_images


def serve(monkeypatch: pytest.MonkeyPatch, images: int = 20) -> None:
    pictures, labels = easy_images(images)
    arrays = {"train_images": pictures, "train_labels": labels, "test_images": pictures, "test_labels": labels}
    monkeypatch.setattr(sources, "read", lambda *_: sources.Source(CLASSES, {"a.gz": "0" * 32}, arrays))


def test_a_data_set_is_published_as_plain_arrays(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    workspace.set(dataset="mnist")
    assert workspace.run("download").code == 0
    assert sorted(workspace.files()) == [str(RAW / "dataset.json"), str(RAW / "images.safetensors")]
    metadata = datasets.metadata(RAW)
    assert (metadata["dataset"], metadata["classes"], metadata["files"]) == ("mnist", list(CLASSES), {"a.gz": "0" * 32})
    assert np.array_equal(datasets.arrays(RAW)["test_images"], easy_images(20)[0])


def test_it_says_what_came(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    assert workspace.run("download").out == "digits: 20 train images, 20 test images, 10 classes\n"


def test_the_same_data_set_gives_the_same_bytes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    workspace.run("download")
    first = workspace.files()
    workspace.run("download")
    assert workspace.files() == first


def test_nothing_stays_of_another_data_set(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    RAW.mkdir(parents=True)
    (RAW / "of another").touch()
    workspace.run("download")
    assert not (RAW / "of another").exists()


def test_a_data_set_that_does_not_come_leaves_the_old_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch)
    workspace.run("download")
    before = workspace.files()

    def fail(*_: object) -> None:
        raise UserError("cannot get it")

    monkeypatch.setattr(sources, "read", fail)
    assert workspace.run("download").err == "error: cannot get it\n"
    assert workspace.files() == before


def test_without_a_network_the_user_learns_where_to_put_the_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFRA_MIRROR", "nowhere")
    workspace.set(dataset="mnist")
    outcome = workspace.run("download")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "train-images-idx3-ubyte.gz: not there" in outcome.err
    assert f"Put the file into {Path('data/originals/MNIST')}/ by hand" in outcome.err
    assert workspace.files() == {}
