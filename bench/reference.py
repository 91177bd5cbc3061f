"""The reference: settings from their schema, stages from dvc.yaml, endpoints from OpenAPI, commands from their --help.

What those say in English alone, and what they do not say, stands in reference.yaml.
"""

import io
import json
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from warnings import catch_warnings

from ruamel.yaml import YAML

from stages.core.cli.params import Params

ROOT = Path(__file__).parents[1]
WORDS: dict[str, Any] = YAML(typ="safe").load(Path(__file__).with_suffix(".yaml"))
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")
OPENAPI: dict[str, Any] = json.loads((ROOT / "serve/docs/openapi.json").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = Params.model_json_schema()
WIDTH = "100"  # columns of a help text
ANY = {"models": "NETWORK", "compute": "ACCELERATOR"}  # sections whose entries are alike


def settings(language: str) -> str:
    """Every key of params.yaml."""
    rows = [[f"`{key}`", WORDS["settings"][word_of(key)][language], *cells] for key, *cells in keys(SCHEMA, language)]
    return table(WORDS["heads"]["settings"][language], rows)


def word_of(key: str) -> str:
    """Changes of images mean the same wherever they stand."""
    return key[key.index("augment.") :] if ".augment." in key else key


def keys(schema: dict[str, Any], language: str, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The path of each setting, what is allowed, and what it is where it is left out; each only once."""
    for name, given in schema.get("properties", {}).items():
        key, inner, optional = (*path, name), resolved(given), name not in schema.get("required", ())
        if name in ANY:
            entries = inner.get("patternProperties") or inner["properties"]
            *_, most = sorted(map(resolved, entries.values()), key=lambda entry: len(entry["properties"]))
            yield from keys(most, language, (*key, ANY[name]))
        elif "properties" in inner:
            yield from keys(inner, language, key)
        else:
            default = json.dumps(given["default"]).strip('"').removesuffix(".0") if optional else "null"
            yield [".".join(key), allowed(given, language), "" if default == "null" else f"`{default}`"]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Of what may also be null or be given by data set, the thing itself."""
    choices: list[dict[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or []
    if choices:
        return resolved(choices[0])
    if "$ref" in schema:
        return dict(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    return schema


def allowed(schema: dict[str, Any], language: str) -> str:
    terms: dict[str, str] = {name: term[language] for name, term in WORDS["terms"].items()}
    if "oneOf" in schema:
        return f"{allowed(schema['oneOf'][0], language)}; {terms['by data set']}"
    if "anyOf" in schema:
        return ", ".join(allowed(choice, language) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = ", ".join(f"{sign} {schema[bound]:,}".replace(",", " ") for bound, sign in bounds.items() if bound in schema)
    if schema.get("type") == "array":
        return f"{terms['array']}: {allowed(schema['items'], language)}"
    return f"{terms[schema['type']]} {said}".strip()


def stages(language: str) -> str:
    rows = []
    for name, stage in PIPELINE["stages"].items():
        about = stage["desc"] if language == "en" else WORDS["stages"][name]
        made = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("metrics", []) + stage["outs"]]
        rows.append([f"`{name}`", about, ", ".join(f"`{path}`" for path in made).replace("${item.network}", "NETWORK")])
    return table(WORDS["heads"]["stages"][language], rows)


def endpoints(language: str) -> str:
    rows = []
    for path, methods in OPENAPI["paths"].items():
        for method, operation in methods.items():
            about = operation["summary"] if language == "en" else WORDS["endpoints"][operation["summary"]]
            rows.append([f"`{method.upper()} {path}`", about])
    return table(WORDS["heads"]["endpoints"][language], rows)


def metrics(language: str) -> str:
    return named("metrics", language)


def environment(language: str) -> str:
    return named("environment", language)


def named(what: str, language: str) -> str:
    rows = [[f"`{name}`", about[language]] for name, about in WORDS[what].items()]
    return table(WORDS["heads"][what][language], rows)


def commands(_: str) -> str:
    """What each command says of itself, which is English in both languages."""
    verbs = sorted(path.stem for path in (ROOT / "cifra").glob("[!_]*.py"))
    calls = [
        ("serve",),
        ("serve", "predict"),
        ("serve", "page"),
        ("serve", "export"),
        *(("cifra", verb) for verb in verbs),
    ]
    calls += [(f"stages.{name}",) for name in PIPELINE["stages"]]
    return "\n".join(f"### `python -m {' '.join(call)}`\n\n```text\n{help_of(call)}\n```\n" for call in calls)


@cache
def help_of(call: tuple[str, ...]) -> str:
    """Without the line of usage, which versions of Python break in other places."""
    module, *arguments = call
    said = io.StringIO()
    with (
        patch.object(sys, "argv", [module, *arguments, "--help"]),
        patch.dict(os.environ, COLUMNS=WIDTH),
        chdir(ROOT),
        redirect_stdout(said),
        suppress(SystemExit),
        catch_warnings(action="ignore"),  # that cifra is imported already
    ):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    return said.getvalue().partition("\n\n")[2].strip()


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
