"""Nothing here reads or writes a format that can run code, and nothing is installed that was not pinned."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import audit

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("cifra", "serve", "stages") for path in (ROOT / folder).rglob("*.py"))
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


LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, str]:
    """What stands about each package, by its name and version."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {pin.split()[0]: pin for pin in re.split(r"\n(?=[\w-])", text)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_with_hashes(lock: str) -> None:
    held = pins(lock)
    assert len(held) > (0 if "uv" in lock else 100)
    assert [pin for pin, text in held.items() if not re.match(r"\S+==\S+ .*--hash=sha256:", text, re.DOTALL)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_dependencies_come_from_the_index_alone(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert re.findall(r"^(?:-e|.*(?:@ (?:file|git)|--(?:extra-)?index-url|--find-links)).*", text, re.MULTILINE) == []


def test_tests_run_with_what_users_have() -> None:
    assert pins("requirements.lock").keys() <= pins("requirements-test.lock").keys()


def test_what_make_installs_has_no_test_tools() -> None:
    names = {pin.partition("==")[0] for pin in pins("requirements.lock")}
    assert names & {"pytest", "ruff", "mypy", "playwright", "hypothesis", "pip-audit"} == set()
    assert names >= {"dvc", "mlflow", "torch", "onnxruntime"}


def test_installing_demands_the_hashes() -> None:
    installs = re.findall(r"pip install.*(?:-r|--requirement) .*", MAKEFILE)
    assert len(installs) >= 3
    assert all("--require-hashes" in line for line in installs)


def audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str, err: str = ""
) -> tuple[int, str]:
    """What `make lint` makes of what pip-audit says."""
    monkeypatch.setattr(audit, "COMMAND", [sys.executable, "-c", f"import sys; print({out!r}); sys.exit({err!r})"])
    return audit.main(), capsys.readouterr().out


def test_a_known_fault_fails_and_says_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2", "fix_versions": []}]
    said = {"dependencies": [{"name": "a", "version": "2.0", "vulns": faults}, {"name": "b", "skip_reason": "unknown"}]}
    assert audited(monkeypatch, capsys, json.dumps(said)) == (
        1,
        "a 2.0 has PYSEC-1, mended in 2.1: `make lock`\na 2.0 has PYSEC-2, not mended yet\n"
        "2 known faults; 1 of 2 packages were asked about\n",
    )


def test_no_known_fault_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"dependencies": [{"name": "a", "version": "2.0", "vulns": []}]}
    assert audited(monkeypatch, capsys, json.dumps(said)) == (0, "0 known faults; 1 of 1 packages were asked about\n")


@pytest.mark.parametrize(
    ("out", "err", "reason"),
    [
        ("", "No module named pip_audit", "pip-audit failed (No module named pip_audit)"),
        ('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', "", "the index gave no answer about any"),
    ],
    ids=["no network", "an index without the data"],
)
def test_where_nobody_can_be_asked_it_is_said_and_lint_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str, err: str, reason: str
) -> None:
    code, said = audited(monkeypatch, capsys, out, err)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith(f"known faults of packages: skipped, since {reason}")


def test_lint_asks() -> None:
    recipe = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0]
    assert "python -m bench.audit" in recipe
