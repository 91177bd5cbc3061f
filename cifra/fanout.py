"""Many trainings at once: every instance of a stage, on the cores of this machine, by Slurm or by Ray.

    cifra fanout                              all of `train`, as many at once as there are cores
    cifra fanout --stage evaluate --jobs 4    `train`, then `export`, then `evaluate`
    cifra fanout --on slurm                   an array; home waits for it
    cifra fanout --on ray                     tasks on the cluster that RAY_ADDRESS names, else on this machine

The instances are DVC's own (`dvc stage list`); each is `dvc --wait-for-lock repro -s STAGE@INSTANCE`. Slurm and Ray run
it in a clone of the commit, on any node that reaches the repository and its DVC remote, through which results come
home. `dvc repro` afterwards has only the rest to do. Exit codes: 0 all done, 1 some failed, 2 it cannot begin.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout

from stages.core.cli.errors import UserError

DVC = (sys.executable, "-m", "dvc")
DONE = "the fan-out has this one"
# The clone is kept until its results have arrived: whoever runs it again goes on from the checkpoint of the last epoch.
WORKER = f"""
set -e
member=$1 url=$2 commit=$3
export PATH="$(dirname "$4"):$PATH"
place="${{XDG_CACHE_HOME:-$HOME/.cache}}/cifra/fanout/$commit/$member"
mkdir -p "$place"
exec 9>"$place.lock"; flock 9
cd "$place"
[ -d .git ] || git init -q
git fetch -q "$url" "$commit"; git checkout -qf FETCH_HEAD
python - <<'CHECK'
import sys
from importlib.metadata import version
pins = dict(line.strip().split(": ") for line in open("versions.yaml"))
other = [f"{{name}} {{version(name)}}, not {{pin}}" for name, pin in pins.items() if version(name).split("+")[0] != pin]
sys.exit(f"this node has {{', '.join(other)}}: install requirements.lock there" if other else 0)
CHECK
python -m dvc --wait-for-lock repro -s --pull "$member" 9>&-
python -m dvc push -q --run-cache "$member"
cd /; rm -rf "$place"
echo {DONE}
"""


def main(
    on: Annotated[str, "local, slurm or ray (default: local)"] = "local",
    stage: Annotated[str, "the last stage that is run (default: train)"] = "train",
    jobs: Annotated[str, "how many at once (default: one a core)"] = "",
    url: Annotated[str, "the repository that nodes clone (default: this folder, if they see it)"] = "",
) -> int:
    if on not in ("local", *ENGINES):
        raise UserError(f"--on {on}: one of local, {', '.join(ENGINES)}")
    if jobs and not (jobs.isdigit() and int(jobs)):
        raise UserError(f"--jobs {jobs}: a number of at least 1")
    at_once = int(jobs or os.cpu_count() or 1)
    try:
        with FileLock(".dvc/tmp/fanout.lock", timeout=0):
            groups = [
                (name, list(members)) for name, members in groupby(instances(), lambda one: one.partition("@")[0])
            ]
            if stage not in (names := [name for name, _ in groups]):
                raise UserError(f"--stage {stage}: dvc.yaml has {', '.join(names)}")
            for name, members in groups[: names.index(stage) + 1]:
                away = on != "local" and name == stage
                failed = elsewhere(on, members, at_once, url, names) if away else local(members, at_once)
                if failed:
                    print(f"error: {', '.join(failed)} failed; what is done is kept, run this again", file=sys.stderr)
                    return 1
    except Timeout:
        raise UserError("a fan-out of this folder is running: wait until it ends") from None
    print(f"{stage}: {len(members)} done; `dvc repro` has the rest to do")
    return 0


def instances() -> list[str]:
    """All of dvc.yaml, in its order, which is that of the pipeline."""
    return run(*DVC, "stage", "list", "--name-only").split()


def local(members: Sequence[str], jobs: int) -> list[str]:
    """Those that failed. What runs ends with us, even if we are killed: a stage looks for the parents of its DVC."""
    environment = os.environ | {"DVC_STAGE": "fanout", "GOMP_SPINCOUNT": "0"}  # idle threads leave their core to others
    waiting, failed = list(members), []
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                command = [*DVC, "--wait-for-lock", "repro", "-s", member := waiting.pop(0)]
                running[member] = subprocess.Popen(command, env=environment)
            time.sleep(0.1)
            for member in [member for member, process in running.items() if process.poll() is not None]:
                failed += [member] if running.pop(member).returncode else []
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return failed


def elsewhere(on: str, members: Sequence[str], jobs: int, url: str, names: Sequence[str]) -> list[str]:
    """Those that failed. Results come by the DVC remote; nothing is computed here."""
    if not run(*DVC, "config", "--project", "core.remote", code=None):
        raise UserError("nodes need a DVC remote that git knows: dvc remote add -d NAME URL, and commit .dvc/config")
    if changed := run("git", "status", "--porcelain", "--untracked-files=no"):
        raise UserError(f"nodes clone what is committed, and this is not: {changed.splitlines()[0].strip()}; commit it")
    run(*DVC, "push", "-q", *names[: names.index(members[0].partition("@")[0])])
    where = (url or Path().absolute().as_uri(), run("git", "rev-parse", "HEAD"), sys.executable)
    said = ENGINES[on](members, jobs, where)
    done = [member for member in members if said[member].endswith(DONE)]
    if done:
        run(*DVC, "repro", "-s", "--pull", *done)
    for member in (failed := [member for member in members if member not in done]):
        print(f"{member}: {(said[member] or 'its node was lost').splitlines()[-1]}", file=sys.stderr)
    return failed


def slurm(members: Sequence[str], jobs: int, where: Sequence[str]) -> dict[str, str]:
    """What each task said. One whose node died is queued again; all are cancelled if we are interrupted."""
    logs = {member: Path(f".dvc/tmp/fanout-{member}.log") for member in members}
    for log in logs.values():
        log.unlink(missing_ok=True)
    script = Path(".dvc/tmp/fanout.sh")
    script.write_text(
        "#!/bin/bash\n"
        f"members=({shlex.join(members)})\nmember=${{members[SLURM_ARRAY_TASK_ID]}}\n"
        f'exec >".dvc/tmp/fanout-$member.log" 2>&1\nset -- "$member" {shlex.join(where)}\n{WORKER}'
    )
    array = f"--array=0-{len(members) - 1}%{jobs}"
    job = run("sbatch", "--parsable", "--requeue", "--output=/dev/null", array, str(script)).split(";")[0]
    try:
        while run("squeue", "--noheader", "--jobs", job, code=None):
            time.sleep(2)
    except BaseException:
        run("scancel", job, code=None)
        raise
    return {member: log.read_text(errors="replace").strip() if log.exists() else "" for member, log in logs.items()}


def ray(members: Sequence[str], jobs: int, where: Sequence[str]) -> dict[str, str]:
    """What each task said. One whose node died is run again on another."""
    try:
        import ray as cluster
    except ModuleNotFoundError:
        raise UserError("Ray is not installed: pip install '.[ray]'") from None
    address = os.environ.get("RAY_ADDRESS")
    try:
        cluster.init(address=address, num_cpus=None if address else jobs, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}") from error

    @cluster.remote(num_cpus=1, max_retries=3)  # type: ignore[untyped-decorator]  # Ray is in no lock
    def task(member: str) -> str:
        command = ["bash", "-c", WORKER, "worker", member, *where]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return str(done.stdout).strip()

    said = dict.fromkeys(members, "")
    tasks = {member: task.remote(member) for member in members}
    try:
        for member, asked in tasks.items():
            said[member] = cluster.get(asked)
    except cluster.exceptions.RayError as error:  # with its head all is lost that has not been pushed
        print(f"Ray ended: {str(error).splitlines()[0]}", file=sys.stderr)
    finally:
        cluster.shutdown()
    return said


ENGINES = {"slurm": slurm, "ray": ray}


def run(*command: str, code: int | None = 0) -> str:
    """What it prints. Raises UserError where it ends with another code, or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"there is no {command[0]} here: run this where it is installed") from None
    if code is not None and done.returncode != code:
        what = " ".join(["dvc", *command[3:5]] if command[:3] == DVC else command[:2])
        raise UserError(f"{what} failed: {(done.stderr.strip() or done.stdout.strip() or '?').splitlines()[0]}")
    return done.stdout.strip()
