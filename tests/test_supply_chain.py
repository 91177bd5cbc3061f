"""Nothing here reads or writes a format that can run code, and nothing is installed that was not pinned."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("serve", "stages") for path in (ROOT / folder).rglob("*.py"))
UNSAFE_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"torch.load", "torch.save", "torch.jit.load", "onnx.hub.load", "eval", "exec"}


def unsafe(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names if str(node.module).split(".")[0] in UNSAFE_MODULES else names & UNSAFE_CALLS
        elif isinstance(node, ast.Call):
            yield from {ast.unparse(node.func)} & UNSAFE_CALLS
            yield from (ast.unparse(keyword) for keyword in node.keywords if is_unsafe(keyword))


def is_unsafe(keyword: ast.keyword) -> bool:
    value = ast.unparse(keyword.value)
    return (keyword.arg == "allow_pickle" and value != "False") or (keyword.arg == "weights_only" and value != "True")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_uses_pickle_in_any_of_its_forms(module: Path) -> None:
    assert list(unsafe(module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, pickle as p",
        "from pickle import loads",
        "import joblib",
        "import torch; torch.load('a')",
        "import torch; torch.load('a', weights_only=False)",
        "from torch import save",
        "import torch; torch.save({}, 'a')",
        "import numpy as np; np.load('a', allow_pickle=True)",
        "import numpy as np; np.load('a', allow_pickle=flag)",
        "eval('1')",
    ],
)
def test_each_form_would_be_noticed(source: str) -> None:
    assert list(unsafe(source))


@pytest.mark.parametrize(
    "source", ["from safetensors.torch import save; save({})", "np.load('a', allow_pickle=False)", "network.eval()"]
)
def test_what_is_safe_may_be_used(source: str) -> None:
    assert list(unsafe(source)) == []


def test_every_dependency_is_pinned_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.split(r"\n(?=[\w-])", text)
    assert len(pins) > 100
    assert [
        pin.split()[0] for pin in pins if not re.match(r"[\w.-]+(\[[\w,]+\])?==\S+ .*--hash=sha256:", pin, re.S)
    ] == []


def test_dependencies_come_from_the_index_alone() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"^(?:-e|.*(?:@ (?:file|git|https?):|--(?:extra-)?index-url|--find-links)).*", text, re.M) == []


def test_installing_demands_the_hashes() -> None:
    installs = re.findall(r"pip install .*-r requirements\.lock", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert installs
    assert all("--require-hashes" in line for line in installs)
