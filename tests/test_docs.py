"""README and docs/ tell the truth: commands exist, tables are of the files, nothing is left out, in both languages."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench import reference
from stages.core.cli.params import Params
from tests.serve.running import running

ROOT = Path(__file__).parents[1]
ONE_LANGUAGE = {"tried.md"}
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
    if ".es." not in path.name and path.name not in ONE_LANGUAGE
]
EVERY = [*PAGES, *(path.with_suffix(".es.md") for path in PAGES)]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PARAMS: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
HELP = dict(re.findall(r"^### `(.*?)`\n\n```text\n(.*?)^```", REFERENCE, re.M | re.S))


def commands(page: Path) -> Iterator[list[str]]:
    """Of blocks and of lines of text; without what stands for something else, and the help texts of all."""
    text = re.sub(r"^(### `.*`$|```text\n.*?^```)", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = [line for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    lines += re.findall(r"(?<!`)`((?:[A-Z_]+=\d+ )?(?:make|python -m|dvc|cifra|curl) [^`]+)`", text)
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if words and not any(re.fullmatch(r"[A-Z]{4,}", word) for word in words):
            yield words


COMMANDS = [command for page in PAGES for command in commands(page)]


def those(*start: str) -> Any:
    found = {" ".join(each): each for each in COMMANDS if each[: len(start)] == list(start)}
    assert found
    return pytest.mark.parametrize("command", found.values(), ids=list(found))


@those("make")
def test_make_has_the_target(command: list[str]) -> None:
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in command[1:] if "=" not in target)


@those("python", "-m")
def test_python_has_the_module_and_the_module_its_options(command: list[str]) -> None:
    module = command[2]
    path = ROOT.joinpath(*module.split("."))
    assert module == "pip" or path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    if not module.startswith(("pip", "bench.")):
        [verb] = [verb for verb in (" ".join(command[:4]), " ".join(command[:3])) if verb in HELP][:1]
        assert [word for word in command if word.startswith("--") and word not in HELP[verb]] == []


@those("dvc", "repro")
def test_dvc_has_the_stage(command: list[str]) -> None:
    for target in [word for word in command[2:] if not word.startswith("-") and word.islower()]:
        stage, _, network = target.partition("@")
        assert stage in reference.PIPELINE["stages"]
        assert not network or network in PARAMS["models"]


@those("dvc", "exp", "run")
def test_an_experiment_sets_what_params_yaml_allows(command: list[str]) -> None:
    for setting in [word for before, word in pairwise(command) if before == "-S"]:
        key, _, values = setting.partition("=")
        for value in [values] if values.startswith("[") else values.split(","):
            params = deepcopy(PARAMS)
            *sections, name = key.split(".")
            place = params
            for section in sections:
                place = place[section]
            assert name in place
            place[name] = YAML(typ="safe").load(value)
            Params.model_validate(params)


@those("curl")
def test_the_server_has_the_path(command: list[str]) -> None:
    path = re.sub(r"^http://[^/]+", "", command[-1])
    paths = [re.sub(r"\\{.*?\\}", "[^/]+", re.escape(known)) for known in reference.OPENAPI["paths"]]
    assert any(re.fullmatch(known, path) for known in paths)


def test_every_page_is_in_both_languages() -> None:
    there = {path.name for path in [*ROOT.glob("README*"), *ROOT.glob("docs/*.md")]}
    assert there == {path.name for path in EVERY} | ONE_LANGUAGE


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_both_languages_say_the_same(page: Path) -> None:
    """Commands, sections and numbers, however they are written."""
    ours, theirs = (told(path) for path in (page, page.with_suffix(".es.md")))
    assert ours == theirs


def told(page: Path) -> tuple[Any, ...]:
    text = re.sub(r"\.es\b", "", page.read_text(encoding="utf-8"))
    digits = re.findall(r"[0-9]+", re.sub(r"(?<=\d)[.,](?=\d)", "", text))
    said = [[word.replace("/una/carpeta", "/a/folder") for word in command] for command in commands(page)]
    return re.findall(r"^(#+) ", text, re.MULTILINE), sorted(said), Counter(digits)


def test_what_is_generated_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.docs", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", EVERY, ids=lambda path: path.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_pictures_are_small() -> None:
    assert [path.name for path in ROOT.glob("docs/*.png") if path.stat().st_size > 300_000] == []


@pytest.mark.parametrize("page", ["README.md", "README.es.md"])
def test_the_readme_is_short(page: str) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= 80


# Nothing is undocumented: bench/reference.yaml has what exists, and nothing else.


def test_every_setting_is_documented() -> None:
    keys = {reference.word_of(key) for key, *_ in reference.keys(reference.SCHEMA, "en")}
    assert keys == set(reference.WORDS["settings"])


def test_every_key_of_params_yaml_is_in_the_reference() -> None:
    assert [key for key in paths_of(PARAMS) if f"`{key}`" not in REFERENCE] == []


def paths_of(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Of all settings, by data set or not; of networks and accelerators without their names."""
    for key, value in values.items():
        if path and path[-1] in reference.ANY and len(path) == 1:
            key = reference.ANY[path[-1]]
        elif path and path[-1] in ("lr", "batch_size", "epochs"):
            yield ".".join(path)
            return
        elif path and path[-1] == "augment" and key in ("default", *DATASETS):
            yield from paths_of(value, path)
            continue
        here = (*path, key)
        if isinstance(value, dict):
            yield from paths_of(value, here)
        else:
            yield ".".join(here)


DATASETS = reference.SCHEMA["properties"]["dataset"]["enum"]


def test_every_stage_is_documented() -> None:
    assert set(reference.PIPELINE["stages"]) == set(reference.WORDS["stages"])


def test_every_endpoint_is_documented() -> None:
    methods = [method for path in reference.OPENAPI["paths"].values() for method in path.values()]
    assert {method["summary"] for method in methods} == set(reference.WORDS["endpoints"])


def test_every_metric_is_documented(tmp_path: Path) -> None:
    from tests.serve.networks import save

    save(tmp_path, "mlp")
    with running(tmp_path) as server:
        shown = server.client("GET", "/metrics").body.decode()
    names = set(re.findall(r"^# TYPE (cifra_\w+)", shown, re.MULTILINE))
    assert {name for name in names if not name.endswith("_created")} == set(reference.WORDS["metrics"])


def test_every_variable_is_documented() -> None:
    paths = [path for room in ("cifra", "serve", "stages") for path in (ROOT / room).rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in paths)
    assert set(re.findall(r"\b(?:CIFRA_[A-Z_]+|MLFLOW_TRACKING_URI)\b", code)) == set(reference.WORDS["environment"])


def test_every_command_is_documented() -> None:
    modules = {"serve", "serve predict", "serve page", "serve export"}
    modules |= {f"cifra {path.stem}" for path in (ROOT / "cifra").glob("[!_]*.py")}
    modules |= {f"stages.{path.stem}" for path in (ROOT / "stages").glob("[!_]*.py")}
    assert set(HELP) == {f"python -m {module}" for module in modules}
