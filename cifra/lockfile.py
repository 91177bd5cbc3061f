"""dvc.lock: what each stage took and made, with the MD5 of every file.

Read here without DVC, which takes seconds to import and looks at a file again only if its date has changed.
"""

import configparser
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.cli.errors import UserError

LOCK = Path("dvc.lock")
PIPELINE = Path("dvc.yaml")
IGNORED = ("__pycache__", ".partial")  # as in .dvcignore
FOLDER = ".dir"  # how the MD5 of a folder ends

Listing = dict[str, str]
"""MD5 of each file of a folder, by its path below the folder."""


@dataclass(frozen=True)
class Entry:
    path: str
    md5: str


@dataclass(frozen=True)
class Stage:
    name: str
    command: str
    deps: list[Entry]
    outs: list[Entry]
    params: Mapping[str, Any]
    """From params.yaml: values by their dotted names."""


def load(path: Path = LOCK) -> dict[str, Stage]:
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run `dvc repro` at the root of the repository, which makes it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}): run `git checkout {path}`, or delete it and `dvc repro`"
        ) from None


def parse(text: bytes) -> dict[str, Stage]:
    """Raises ValueError where it is not a lock file, or only a part of one."""
    try:
        stages = YAML(typ="safe").load(text)["stages"]
        return {name: _stage(name, held) for name, held in stages.items()}
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    except (KeyError, TypeError, AttributeError):
        raise ValueError("a part of it is missing") from None


def _stage(name: str, held: dict[str, Any]) -> Stage:
    deps, outs = ([Entry(entry["path"], entry["md5"]) for entry in held.get(kind) or []] for kind in ("deps", "outs"))
    return Stage(name, held["cmd"], deps, outs, held.get("params", {}).get("params.yaml", {}))


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_of(path: Path) -> str | None:
    """As DVC has it, of a file or a whole folder; None where there is nothing."""
    if path.is_dir():
        return md5_of_listing(listing(path))
    return md5_of_file(path) if path.exists() else None


def md5_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def listing(folder: Path) -> Listing:
    return {file.relative_to(folder).as_posix(): md5_of_file(file) for file in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.endswith(IGNORED) for part in path.relative_to(folder).parts):
            yield path


def md5_of_listing(files: Listing) -> str:
    """DVC's MD5 of a folder is that of its listing as JSON, ordered by path, and says so by its ending."""
    rows = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return md5(json.dumps(rows).encode()) + FOLDER


def left_to_git() -> list[str]:
    """Patterns of the outputs with `cache: false`, which `dvc checkout` does not bring back. Only dvc.yaml says so."""
    if not PIPELINE.exists():
        return []
    stages = YAML(typ="safe").load(PIPELINE.read_bytes())["stages"].values()
    outs = [out for stage in stages for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    options = [named for out in outs if isinstance(out, dict) for named in out.items()]
    return [re.sub(r"\$\{.*?\}", "*", path) for path, given in options if given.get("cache") is False]


def cached(digest: str) -> Path:
    """Where DVC's cache keeps what has this MD5."""
    return cache() / digest[:2] / digest[2:]


def cache() -> Path:
    """As .dvc/config says, or the one of this machine, config.local."""
    config = configparser.ConfigParser()
    config.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc", config.get("cache", "dir", fallback="cache"), "files", "md5")


def cached_listing(digest: str) -> Listing | None:
    """What the folder of this MD5 holds, if DVC's cache knows and is whole."""
    try:
        data = cached(digest).read_bytes()
    except OSError:
        return None
    return {row["relpath"]: row["md5"] for row in json.loads(data)} if md5(data) + FOLDER == digest else None
