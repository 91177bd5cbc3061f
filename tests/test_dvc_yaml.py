"""dvc.yaml says all that the stages depend on: DVC itself looks neither into Python nor into params.yaml."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES = PIPELINE["stages"]
MODELS = list(YAML(typ="safe").load(ROOT / "params.yaml")["models"])
ONE_PER_NETWORK = ("weights/{}", "models/{}.onnx", "models/{}.json", "metrics/{}.json", "results/{}")


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
        if parts[0] in ("serve", "stages"):
            yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists())


def needed(stage: str) -> set[str]:
    """All code that a stage runs, from its own module on, without empty files."""
    found = {ROOT / "stages" / f"{stage}.py"}
    todo = set(found)
    while todo:
        new = {file for module in todo for file in imports(module)} - found
        found |= new
        todo = new
    found |= {ROOT / "stages" / "__init__.py"}
    return {file.relative_to(ROOT).as_posix() for file in found if file.stat().st_size}


def code_deps(stage: str) -> set[str]:
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "serve/"))]
    folders = [dep for dep in deps if not dep.endswith(".py")]
    inside = {
        file.relative_to(ROOT).as_posix()
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if file.stat().st_size
    }
    return inside | {dep for dep in deps if dep.endswith(".py")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_it_imports(stage: str) -> None:
    assert needed(stage) <= code_deps(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_code_that_it_does_not_import(stage: str) -> None:
    assert code_deps(stage) <= needed(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage(stage: str) -> None:
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not needed(stage) & others


@pytest.mark.parametrize("module", sorted((ROOT / "serve").rglob("*.py")), ids=lambda path: path.stem)
def test_serve_imports_nothing_of_the_stages(module: Path) -> None:
    assert not [file for file in imports(module) if file.is_relative_to(ROOT / "stages")]


@pytest.mark.parametrize("stage", ["compare", "render", "track"])
@pytest.mark.parametrize("path", ONE_PER_NETWORK)
def test_a_stage_over_all_networks_depends_on_each_entry_of_models(stage: str, path: str) -> None:
    assert {path.format(name) for name in MODELS} <= set(STAGES[stage]["deps"])


@pytest.mark.parametrize("path", [ONE_PER_NETWORK[index] for index in (1, 3, 4)])
def test_the_samples_depend_on_what_each_network_answered(path: str) -> None:
    assert {path.format(name) for name in MODELS} <= set(STAGES["samples"]["deps"])


@pytest.mark.parametrize("stage", ["compare", "render", "track"])
def test_a_stage_over_all_networks_depends_on_no_other_network(stage: str) -> None:
    weights = {dep for dep in STAGES[stage]["deps"] if dep.startswith("weights/")}
    assert weights == {f"weights/{name}" for name in MODELS}


def test_the_plots_show_every_network() -> None:
    curves = [plot for plot in PIPELINE["plots"] if isinstance(plot, dict) and "epoch" in str(plot)]
    assert len(curves) == 2
    for plot in curves:
        (options,) = plot.values()
        (columns,) = options["y"].values()
        assert columns == MODELS
