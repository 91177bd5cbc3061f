"""What a run of the pipeline leaves, in a form that compares."""

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

TOPS = ("data", "weights", "models", "model_info", "champion", "metrics", "results", "reports", "samples", "figures")

OF_DVC = re.compile(r"\.[\w-]{22}\.tmp")  # what it makes while it links a file

Hashes = Mapping[str, str]


def hashes(folder: Path) -> Hashes:
    """Of all that the stages leave, and of what DVC says of it; not of its own temporary files."""
    found = [path for top in TOPS for path in (folder / top).rglob("*") if path.is_file()]
    found = [path for path in found if not OF_DVC.fullmatch(path.name)]
    found += [folder / "dvc.lock"] if (folder / "dvc.lock").exists() else []
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def is_passing(name: str) -> bool:
    """Of the half-way only: what the dead left unfinished, which the next run sweeps, and a lock not yet complete."""
    return name == "dvc.lock" or ".partial" in name


def differences(wanted: Hashes, found: Hashes) -> list[str]:
    return [f"{name} differs" for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]


def doubles(store: Path) -> list[str]:
    """Every run is finished, and holds every epoch once."""
    with closing(sqlite3.connect(store)) as database:
        states = {state for (state,) in database.execute("SELECT status FROM runs")}
        epochs = Counter(database.execute("SELECT run_uuid, step FROM metrics WHERE key = 'validation_loss'"))
    right = states == {"FINISHED"} and set(epochs.values()) == {1}
    return [] if right else [f"MLflow holds runs {sorted(states)} with the epochs {dict(epochs)}"]
