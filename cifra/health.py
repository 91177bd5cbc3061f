"""What a killed or crowded-out program leaves on disk that stops the next one. Needs nothing but Python itself."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from stages.core.cli import files, paths, processes

RWLOCK = Path(".dvc/tmp/rwlock")
LOCK = Path("dvc.lock")
STORE = Path("mlflow.db")
OF_DVC = re.compile(r"\.[\w-]{22}\.tmp")  # what it makes while it links a file
CHECKPOINTS = Path(".checkpoints")
PUBLISHED = [paths.RAW.parent, paths.WEIGHTS, paths.MODELS, paths.METRICS, paths.RESULTS, paths.REPORTS, paths.FIGURES]


class Finding(NamedTuple):
    what: str
    mend: str


Findings = Iterator[Finding]


def rwlock() -> Findings:
    """DVC writes it in place: killed meanwhile it leaves half of it, and then refuses every command."""
    if not RWLOCK.exists():
        return
    remove = f"`rm {RWLOCK}`"
    try:
        held = json.loads(RWLOCK.read_text(encoding="utf-8"))
        infos = [*held.get("write", {}).values(), *(info for many in held.get("read", {}).values() for info in many)]
        holders = {info["pid"]: info["cmd"] for info in infos}
    except (ValueError, AttributeError, TypeError, KeyError):
        yield Finding(f"{RWLOCK} is empty or broken off, and stops every command of DVC", remove)
        return
    for process, line in sorted(holders.items()):
        if not processes.is_alive(process):
            yield Finding(f"{RWLOCK} is held by process {process} (`{line}`), which is dead", remove)
            return
        if not is_dvc(process):
            yield Finding(f"{RWLOCK} is held by process {process}, which is not DVC (any more)", remove)
            return


def is_dvc(process: int) -> bool:
    """Where the system does not tell, every process passes for DVC."""
    try:
        return b"dvc" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return True


def lock() -> Findings:
    with suppress(ModuleNotFoundError):
        from cifra import lockfile

        try:
            lockfile.parse(LOCK.read_bytes() if LOCK.exists() else b"stages: {}")
        except ValueError as error:
            yield Finding(f"{LOCK} is broken off or damaged ({error})", f"`git checkout {LOCK}`, else `rm {LOCK}`")


def mlflow_store() -> Findings:
    if STORE.exists() and (trouble := store_trouble()):
        mend = f"`rm {STORE} && python -m stages.track` makes it again from the files"
        yield Finding(f"{STORE} {trouble}", mend)


def store_trouble() -> str:
    """Empty if MLflow can use it."""
    try:
        with closing(sqlite3.connect(f"{STORE.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError as error:
        return "" if "locked" in str(error) else f"cannot be opened ({error})"
    except sqlite3.DatabaseError:
        return "is not a database"
    if state != "ok":
        return f"is damaged ({state.splitlines()[0]})"
    if any(name.startswith("_alembic_tmp") for name in names):
        return "was left in the middle of its making (a table _alembic_tmp_…)"
    return "" if "alembic_version" in names else "is not a store of MLflow"


def leftovers() -> Findings:
    folders = [Path()] + [place for top in PUBLISHED for place in (top, *top.rglob("*/"))]
    for path in (left for folder in folders for left in files.leftovers(folder)):
        yield Finding(f"{path} was left half written by a process that died", f"`rm -r {path}`")
    for path in (left for folder in folders for left in folder.glob(".*.tmp") if OF_DVC.fullmatch(left.name)):
        yield Finding(f"{path} was left by a DVC that died (or is one running?)", f"`rm {path}`")


def checkpoints() -> Findings:
    """Lock files alone are no finding: the system frees them at their holder's death."""
    if any(map(is_held, CHECKPOINTS.glob("*.lock"))):
        return
    for folder in sorted(CHECKPOINTS.glob("*/")):
        if held := sum(path.stat().st_size for path in folder.glob("*")):
            yield Finding(
                f"{folder} keeps {held / 10**6:.1f} MB of a training that was killed",
                f"`dvc repro` goes on from it; with other parameters nobody will, then `rm -r {folder}`",
            )


def is_held(path: Path) -> bool:
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError:
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True
