"""Hold every published file against dvc.lock, byte by byte, and say which changed, is missing or is extra.

    cifra verify

DVC looks at a file again only if its date has changed; here it looks at every one, in its cache too.
Whether a stage gives the same bytes once more: `dvc repro --force --single-item --no-run-cache STAGE`, then
`git diff dvc.lock`. Exit codes: 0 all is as recorded, 1 something differs.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from stages.core.cli.errors import UserError

WORDS = {"modified": "has changed", "deleted": "is missing", "added": "is extra"}


def main() -> int:
    with tempfile.TemporaryDirectory() as fresh:  # where DVC would remember dates
        files = json.loads(dvc("data", "status", "--granular", "--json", site_cache=fresh))
        stages = json.loads(dvc("status", "--json", site_cache=fresh))
    found = [*changed_files(files), *changed_outputs(stages, files)]
    for line in found:
        print(line)
    print(f"{len(found)} differences from dvc.lock: mend them as said" if found else "all is as recorded")
    return int(bool(found))


def dvc(*arguments: str, site_cache: str | None = None) -> str:
    environment = os.environ | ({"DVC_SITE_CACHE_DIR": site_cache} if site_cache else {})
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise UserError(f"DVC cannot say: {' '.join((done.stderr or done.stdout).split())}")
    return done.stdout


def changed_files(status: dict[str, Any]) -> Iterator[str]:
    """Of what DVC keeps; a folder is named by its files."""
    for kind, paths in status.get("uncommitted", {}).items():
        for path in paths if kind in WORDS else ():
            if not path.endswith("/") or kind == "deleted":
                yield f"{path} {WORDS[kind]}: {mend(path, kind)}"


def mend(path: str, kind: str) -> str:
    """To remove it first is what makes DVC look: it goes by the date."""
    name = shlex.quote(path)
    if kind == "added":
        return f"`rm {name}`"
    again = f"dvc checkout {name}`, or `dvc repro` if DVC does not keep it"
    return f"`rm {name} && {again}" if kind == "modified" else f"`{again}"


def changed_outputs(stages: dict[str, Any], status: dict[str, Any]) -> Iterator[str]:
    """Of what git keeps (metrics and reports), and whatever the stages took in another version than they left."""
    kept = {path.rstrip("/") for paths in status.get("uncommitted", {}).values() for path in paths}
    for stage, changes in stages.items():
        for change in changes if isinstance(changes, list) else ():
            for path, kind in change.get("changed outs", {}).items() if isinstance(change, dict) else ():
                if kind == "not in cache":  # DVC has just thrown it out, if it was damaged
                    yield f"{path} is no longer kept by DVC, or was damaged there: `dvc commit --force {stage}`"
                elif path not in kept:
                    yield f"{path} {WORDS.get(kind, kind)}: `git checkout {path}`, or `dvc repro {stage}`"
