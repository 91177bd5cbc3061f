"""Say what an ONNX file of Cifra's holds of its origin, and which stage and commit made these bytes.

    cifra trace /anywhere/model.onnx

Run it at the root of the repository. Exit codes: 0 found, 1 no dvc.lock, here or in a commit, holds the file,
2 not a file of Cifra's.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Annotated, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from serve.inference.model import Model, ModelError
from stages.core.cli.errors import UserError

LOCK = Path("dvc.lock")
SAID = ("network", "dataset", "dataset_sha256", "fingerprint")
UNKNOWN = "not found: changed since, made elsewhere, or this is not the repository that made it"


def main(file: Annotated[str, "an ONNX file, wherever it lies"]) -> int:
    model = load(Path(file))
    digest = hashlib.md5(Path(file).read_bytes(), usedforsecurity=False).hexdigest()
    source = str(model.metadata.get("quantized_from", digest))
    stage, commit = find(source)
    rows: dict[str, Any] = {"file": f"{file}, sha256 {model.sha256}, md5 {digest}"}
    rows |= {name: model.metadata[name] for name in SAID}
    rows |= {name: value for name, value in model.metadata.items() if name not in rows}
    rows["dvc.lock"] = stage or UNKNOWN
    rows["git commit"] = commit or "none holds it: `git commit dvc.lock` keeps what made a file"
    rows["MLflow"] = f"search the runs for tags.fingerprint = '{model.metadata['fingerprint']}'"
    for name, value in rows.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(f"{name:<16}{''.join(sign if sign.isprintable() else '?' for sign in text)}")
    return int(not stage)


def load(path: Path) -> Model:
    try:
        model = Model.load(path)
    except ModelError as error:
        raise UserError(str(error)) from None
    if not all(isinstance(model.metadata.get(name), str) for name in SAID):
        raise UserError(f"{path} does not say where it comes from: not a file of Cifra's, or its metadata are lost")
    return model


def find(md5: str) -> tuple[str, str]:
    """The stage and its output in the dvc.lock that lies here, else in the first commit with it; and that commit."""
    first = git("log", f"-S{md5}", "--format=%H, %cs, %s", "--", str(LOCK)).splitlines()[-1:]
    commit = first[0] if first else ""
    here = made(LOCK.read_bytes(), md5) if LOCK.exists() else ""
    if commit and not here:
        sha = commit.partition(",")[0]
        here = made(git("show", f"{sha}:./{LOCK}").encode(), md5) + f" (of commit {sha[:12]}, not of the one here)"
    return here, commit


def made(lock: bytes, md5: str) -> str:
    """The champion is a copy, and its maker stands behind the stage that made the file itself."""
    try:
        stages = YAML(typ="safe").load(lock)["stages"]
    except (YAMLError, TypeError, KeyError):
        raise UserError(f"{LOCK} is damaged: run `git checkout {LOCK}`, or delete it and `dvc repro`") from None
    outs = [(name, out["path"]) for name, stage in stages.items() for out in stage.get("outs", []) if out["md5"] == md5]
    return ", ".join(f"{path} by {name}" for name, path in sorted(outs, key=lambda out: out[0] == "compare"))


def git(*arguments: str) -> str:
    """What git says; empty where there is none, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
