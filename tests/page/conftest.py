"""A real browser on a real server. Without chromium these tests skip."""

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from serve.inference.layers import Inspector
from serve.inference.model import Model
from tests.serve.networks import deep, save, save_samples
from tests.serve.running import running

pytest.register_assert_rewrite("tests.page.reader")

from tests.page.reader import FLAGS, Reader  # noqa: E402  rewritten first

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")

DEEP = "small_vgg"
NETWORKS = ("lenet_28", "mlp", "residual")
Open = Callable[..., Reader]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks of random weights, and a few test images beside them."""
    directory = tmp_path_factory.mktemp("models")
    for name in NETWORKS:
        save(directory, name)
    save(directory, DEEP, deep())
    save_samples(directory)
    return directory


@pytest.fixture(scope="package")
def site(models: Path) -> Iterator[str]:
    with running(models) as found:
        yield f"http://127.0.0.1:{found.client.port}/"


@pytest.fixture
def open_page(browser: Any, site: str) -> Iterator[Open]:
    """Opens the page in a fresh profile; at the end nothing may have gone wrong in any of them."""
    readers: list[Reader] = []

    def opened(address: str = "", *, at: str = site, **options: Any) -> Reader:
        reader = Reader(browser, at, **options)
        readers.append(reader)
        reader.goto(address)
        return reader

    yield opened
    for reader in readers:
        reader.close()


@pytest.fixture
def reader(open_page: Open) -> Reader:
    return open_page()


@pytest.fixture(scope="package")
def inspector(models: Path) -> Callable[[str], Inspector]:
    return cache(lambda name: Inspector(Model.load(models / f"{name}.onnx")))
