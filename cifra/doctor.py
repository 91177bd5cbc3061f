"""Find what stops people: packages, git, DVC, MLflow, space, rights, ports. Changes nothing.

    cifra doctor

Prints a line for each trouble, with the command that mends it. Exit codes: 0 nothing found, 1 something found.
For a report of a fault, add what `dvc doctor` and `mlflow doctor` say.
"""

import getpass
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

NEEDED_BYTES = 2 * 10**9  # a run on MNIST with its cache, and some room
LOCK = Path("requirements.lock")
INSTALL = f"`make`, or `python -m pip install --require-hashes -r {LOCK}`"
PORTS = {
    "8000": "`cifra serve --port 8001`, if it is not your own server",
    os.environ.get("CIFRA_UI_PORT", "5000"): "`CIFRA_UI_PORT=5001 make ui`, if it is not your own MLflow",
}


Findings = Iterator[tuple[str, str]]
"""What is wrong, and what mends it."""


def main() -> int:
    found = [finding for check in CHECKS for finding in check()]
    for what, mend in found:
        print(f"{what}: {mend}")
    if not found:
        print("nothing found")
    return int(bool(found))


def place() -> Findings:
    if not Path("params.yaml").exists():
        yield "params.yaml is not here", "run this, and everything, at the root of the repository (`cd`)"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        version = sys.version.split()[0]
        yield f"Python is {version}, not 3.11 to 3.13", "`rm -r .venv && make PYTHON=python3.13`"


def packages() -> Findings:
    """What the lock file pins for every machine and is not there, and what does not fit together."""
    installed = {re.sub(r"[-_.]+", "-", str(found.name)).lower() for found in distributions()}
    lock = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
    pinned = re.findall(r"^([\w.-]+)==[^\s;]+ \\$", lock, re.MULTILINE)
    missing = [name for name in pinned if name not in installed]
    if missing:
        yield f"{len(missing)} packages are missing ({', '.join(missing[:5])})", INSTALL
    for line in said("pip", "check")[1].splitlines():
        if " has requirement " in line:
            yield line.rstrip("."), INSTALL


def environment() -> Findings:
    """Of an environment whose folder was moved, the commands and `activate` hold the old path."""
    activate = Path(sys.prefix, "bin", "activate")
    if not activate.exists():
        return
    made = re.search(r"VIRTUAL_ENV=(?:\$\(cygpath )?['\"]?(/[^'\"\n]+?)['\"]?$", activate.read_text(), re.MULTILINE)
    if made and not Path(made[1]).exists():
        yield f"{sys.prefix} was made as {made[1]} and then moved", "`make`, which makes it anew"


def git() -> Findings:
    """DVC finds its repository by git's, unless it is told to do without, and an experiment is a commit."""
    if any("no_scm = true" in path.read_text(encoding="utf-8") for path in Path(".dvc").glob("config*")):
        return
    if not shutil.which("git"):
        yield "git is not installed", "install it; without, `dvc config core.no_scm true` (no experiments)"
        return
    where = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, text=True, check=False)
    if "dubious ownership" in where.stderr:
        yield "this folder belongs to another user", f"`git config --global --add safe.directory '{Path.cwd()}'`"
    elif where.returncode:
        yield "this is no git repository", "`git init`, or `dvc config core.no_scm true` (no experiments)"
    for setting, variable in (("name", "NAME"), ("email", "EMAIL")):
        has = subprocess.run(["git", "config", f"user.{setting}"], capture_output=True, check=False).stdout.strip()
        if not has and not os.environ.get(f"GIT_COMMITTER_{variable}"):
            yield f"git has no user.{setting}, which `dvc exp run` needs", f"`git config --global user.{setting} …`"


def user() -> Findings:
    try:
        getpass.getuser()
    except (KeyError, OSError):
        yield f"user {os.getuid()} has no name, which DVC asks for", "`export LOGNAME=cifra`"


def dvc() -> Findings:
    """What DVC itself cannot get past: dvc.yaml, dvc.lock, its own lock."""
    code, text = said("dvc", "status", "--json")
    if code and "git repository" not in text:
        mends = {"RWLock": "`rm .dvc/tmp/rwlock`", "dvc.lock": "`git checkout dvc.lock`", "": "as it says"}
        yield f"DVC: {' '.join(text.split())[:300]}", next(mend for word, mend in mends.items() if word in text)


def index() -> Findings:
    """DVC's index of files holds pickles, and by itself lies where every account of the machine may write."""
    failed, folder = said("dvc", "config", "core.site_cache_dir")
    path = Path(folder.strip())
    if os.name != "nt" and not failed and (not folder or (path.exists() and path.stat().st_mode & 0o022)):
        mend = '`mkdir -p .dvc/site && chmod 700 .dvc/site && dvc config --local core.site_cache_dir "$PWD/.dvc/site"`'
        yield "DVC's index lies where other accounts may write", mend


def mlflow() -> Findings:
    """A store that cannot be read, and experiments that were deleted in the page, where no run can be logged."""
    if not Path("mlflow.db").exists() and not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    try:
        from mlflow.entities import ViewType

        from stages.core.tracking import store

        deleted = store.connect().search_experiments(ViewType.DELETED_ONLY)
    except Exception as error:  # of a database, of the network, of MLflow itself
        line = str(error).splitlines()[0][:200]
        yield f"MLflow's store does not work ({line})", "`rm mlflow.db && dvc repro --force track`, if it is local"
        return
    for one in deleted:
        mend = f"`mlflow experiments restore --experiment-id {one.experiment_id}`"
        yield f"MLflow's experiment {one.name} is deleted", mend


def said(module: str, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stderr.strip() or done.stdout


def space() -> Findings:
    for folder, mend in ((".", "`dvc gc --workspace` drops old results"), (tempfile.gettempdir(), "delete there")):
        free = shutil.disk_usage(folder).free
        if free < NEEDED_BYTES:
            yield f"{Path(folder).absolute()} has only {free / 10**9:.1f} GB left", mend
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            yield f"{Path(folder).absolute()} cannot be written ({error.strerror})", "`chmod u+w`, `chown`"


def ports() -> Findings:
    for port, instead in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(os.name != "nt"))
            try:
                probe.bind(("127.0.0.1", int(port)))
            except OSError:
                yield f"port {port} is taken", instead


CHECKS = [place, packages, environment, git, user, dvc, index, mlflow, space, ports]
