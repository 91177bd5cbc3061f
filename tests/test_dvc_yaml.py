"""dvc.yaml is a table of contents: it names no network, and lists the code of each stage by folder."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages import compare, train

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
STAGES: dict[str, Any] = YAML(typ="safe").load(TEXT)["stages"]
MODELS = list(YAML(typ="safe").load(ROOT / "params.yaml")["models"])
NO_RESULT = ("stages/__init__.py", "stages/core/cli/", "stages/core/tracking/", "serve/__init__.py")
"""Code that changes nothing that a stage makes; MLflow's is of `track` alone, which says so."""


def imports(module: Path) -> Iterator[Path]:
    """The files of the project that this one imports itself when run, packages on the way included."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    typing_only = {node for block in ast.walk(tree) if is_type_checking(block) for node in ast.walk(block)}
    for node in set(ast.walk(tree)) - typing_only:
        if isinstance(node, ast.Import):
            yield from (file for alias in node.names for file in files_of(alias.name))
        elif isinstance(node, ast.ImportFrom):
            yield from (file for alias in node.names for file in files_of(f"{node.module}.{alias.name}"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def files_of(name: str) -> Iterator[Path]:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:end])
        if parts[0] in ("serve", "stages", "cifra"):
            yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists())


def needed(module: Path) -> set[str]:
    """All code that it runs, from itself on, that may change a result."""
    found, todo = {module}, {module}
    while todo:
        new = {file for one in todo if not is_without_result(one) for file in imports(one)} - found
        found |= new
        todo = new
    kept = {file for file in found if file.stat().st_size and not is_without_result(file)}
    return {file.relative_to(ROOT).as_posix() for file in kept}


def is_without_result(file: Path) -> bool:
    return file.relative_to(ROOT).as_posix().startswith(NO_RESULT)


def code(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "serve/"))]


def test_it_is_short_and_names_no_network() -> None:
    assert len(TEXT.splitlines()) <= 100
    assert [name for name in MODELS if name in TEXT.replace("train@lenet_28", "")] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_module_and_on_folders(stage: str) -> None:
    assert [dep for dep in code(stage) if not (ROOT / dep).is_dir()] == [f"stages/{stage}.py"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_may_change_its_result(stage: str) -> None:
    listed = code(stage)
    needs = needed(ROOT / "stages" / f"{stage}.py")
    assert [file for file in needs if not file.startswith(tuple(listed))] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_folder_of_code_that_it_does_not_import(stage: str) -> None:
    needs = needed(ROOT / "stages" / f"{stage}.py")
    everything = needs | {"stages/core/tracking/" for _ in [0] if stage == "track"}
    assert [dep for dep in code(stage) if not any(file.startswith(dep) for file in everything)] == []


def test_the_fingerprint_of_a_training_is_over_the_code_that_dvc_s_train_depends_on() -> None:
    assert sorted(train.CODE) == sorted(code("train"))


def test_versions_are_the_pins_of_the_lock_and_each_is_a_dependency() -> None:
    pins = dict(re.findall(r"^([a-z-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    versions = YAML(typ="safe").load(ROOT / "versions.yaml")
    assert {name: pins[name] for name in versions} == {name: str(version) for name, version in versions.items()}
    held = [one for stage in STAGES.values() for one in stage.get("params", []) if isinstance(one, dict)]
    assert {name for one in held for name in one["versions.yaml"]} == set(versions)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage(stage: str) -> None:
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not needed(ROOT / "stages" / f"{stage}.py") & others


@pytest.mark.parametrize("module", sorted((ROOT / "serve").rglob("*.py")), ids=lambda path: path.stem)
def test_serve_imports_nothing_of_the_stages(module: Path) -> None:
    assert not [file for file in imports(module) if file.is_relative_to(ROOT / "stages")]


@pytest.mark.parametrize("stage", ["compare", "track"])
def test_a_stage_over_all_networks_depends_on_all_that_is_made_for_each(stage: str) -> None:
    assert {str(folder) for folder in compare.PER_NETWORK} <= set(STAGES[stage]["deps"])


def test_no_output_lies_in_a_folder_that_a_stage_depends_on_unless_it_is_one_network_s() -> None:
    """Else the folder would change after the stage has read it."""
    folders = {str(folder) for folder in compare.PER_NETWORK}
    for name, stage in STAGES.items():
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", [])]
        inside = [out for out in outs if out.partition("/")[0] in folders]
        assert all("${item.network}" in out for out in inside), name


def test_no_folder_holds_outputs_of_git_and_of_dvc_when_a_stage_depends_on_it() -> None:
    """Else `dvc repro --allow-missing` fails on a fresh clone."""
    kinds: dict[str, set[bool]] = {}
    for stage in STAGES.values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path, cached = (next(iter(out)), False) if isinstance(out, dict) else (out, True)
            kinds.setdefault(path.partition("/")[0], set()).add(cached)
    mixed = {folder for folder, found in kinds.items() if len(found) > 1}
    assert not mixed & {dep for stage in STAGES.values() for dep in stage["deps"]}
