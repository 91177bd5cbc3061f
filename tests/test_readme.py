"""The READMEs tell the truth: their commands exist, their tables are those of the files, both say the same."""

import re
import shlex
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.core.cli.params import Params

ROOT = Path(__file__).parents[1]
READMES = {"en": ROOT / "README.md", "es": ROOT / "README.es.md"}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")
PARAMS: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")


def blocks(language: str, kind: str) -> list[str]:
    return re.findall(
        rf"^```{kind}\n(.*?)^```", READMES[language].read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(language: str) -> list[list[str]]:
    lines = [line for block in blocks(language, "bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("command", [c for c in commands("en") if c[0] == "make"], ids=" ".join)
def test_make_has_the_target(command: list[str]) -> None:
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in command[1:])


@pytest.mark.parametrize("command", [c for c in commands("en") if "-m" in c and c[2] != "venv"], ids=" ".join)
def test_python_has_the_module(command: list[str]) -> None:
    module = command[command.index("-m") + 1]
    path = ROOT.joinpath(*module.split("."))
    assert module == "pip" or path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize("command", [c for c in commands("en") if c[:2] == ["dvc", "repro"]], ids=" ".join)
def test_dvc_has_the_stage(command: list[str]) -> None:
    for target in command[2:]:
        stage, _, network = target.partition("@")
        assert stage in PIPELINE["stages"]
        assert not network or network in PARAMS["models"]


@pytest.mark.parametrize("command", [c for c in commands("en") if c[:3] == ["dvc", "exp", "run"]], ids=" ".join)
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


def test_both_languages_have_the_same_commands() -> None:
    assert commands("en") == [
        [word.replace("/una/carpeta", "/a/folder") for word in command] for command in commands("es")
    ]


def test_both_languages_have_the_same_sections() -> None:
    levels = [re.findall(r"^(#+) ", path.read_text(encoding="utf-8"), re.MULTILINE) for path in READMES.values()]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("language", READMES)
def test_the_tables_are_those_of_the_files(language: str) -> None:
    from bench.readme import filled

    text = READMES[language].read_text(encoding="utf-8")
    assert filled(text, language) == text


@pytest.mark.parametrize("language", READMES)
def test_every_link_and_picture_is_there(language: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", READMES[language].read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
