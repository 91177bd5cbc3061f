"""Each trouble is made, then found, named and with the command that mends it."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest
from filelock import FileLock

from cifra import doctor, lockfile
from tests import recorded
from tests.workspace import ROOT, Workspace, shell

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights and processes")


@pytest.fixture(autouse=True)
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever serves on this machine is not our concern here."""
    monkeypatch.setattr(doctor, "PORTS", {})


@pytest.fixture
def healthy(workspace: Workspace) -> Workspace:
    recorded.make()
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/tmp/rwlock").write_text("{}")
    Path(".checkpoints").mkdir()
    Path(".checkpoints/one.lock").touch()
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    return workspace


def findings(workspace: Workspace) -> list[str]:
    before = workspace.files()
    outcome = workspace.run("doctor")
    assert outcome.err == ""
    assert workspace.files() == before  # it changes nothing
    lines = outcome.out.splitlines()
    assert outcome.code == int(lines != ["nothing found"])
    return lines if outcome.code else []


def only(workspace: Workspace) -> str:
    (line,) = findings(workspace)
    return line


def dead() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_healthy_repository_has_nothing(healthy: Workspace) -> None:
    assert findings(healthy) == []


def test_before_the_first_run_there_is_nothing(workspace: Workspace) -> None:
    assert findings(workspace) == []


@pytest.mark.parametrize("text", ["", "{", '{"write": {"a": ', "[]", "3", '{"write": {"a": {}}}', "\0"])
def test_a_broken_rwlock(healthy: Workspace, text: str) -> None:
    Path(".dvc/tmp/rwlock").write_text(text)
    assert only(healthy).startswith(".dvc/tmp/rwlock is empty or broken off")
    assert only(healthy).endswith(": `rm .dvc/tmp/rwlock`")


@posix
@pytest.mark.parametrize("kind", ["write", "read"])
def test_an_rwlock_of_a_dead_process(healthy: Workspace, kind: str) -> None:
    info = {"pid": dead(), "cmd": "dvc repro"}
    Path(".dvc/tmp/rwlock").write_text(json.dumps({kind: {"data": info if kind == "write" else [info]}}))
    assert only(healthy).startswith(f".dvc/tmp/rwlock is held by process {info['pid']} (`dvc repro`), which is dead")


@posix
def test_an_rwlock_of_two_dead_processes_is_removed_once(healthy: Workspace) -> None:
    info = [{"pid": dead(), "cmd": "dvc repro"} for _ in range(2)]
    Path(".dvc/tmp/rwlock").write_text(json.dumps({"read": {"data": info}}))
    assert only(healthy).endswith(": `rm .dvc/tmp/rwlock`")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the system does not tell what a process runs")
def test_an_rwlock_whose_process_number_is_now_anothers(healthy: Workspace) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": {"a": {"pid": other.pid, "cmd": "dvc repro"}}}))
        assert "which is not DVC (any more)" in only(healthy)
    finally:
        other.kill()
        other.wait()


@posix
def test_an_rwlock_of_a_living_dvc_is_well(healthy: Workspace) -> None:
    command = [sys.executable, "-c", "print(flush=True); input() # dvc"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdout
    running.stdout.readline()  # until then it may still be a copy of this process
    try:
        Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": {"a": {"pid": running.pid, "cmd": "dvc repro"}}}))
        assert findings(healthy) == []
    finally:
        running.communicate()


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9])
def test_a_truncated_lock(healthy: Workspace, part: float) -> None:
    lock = lockfile.LOCK.read_text()
    lockfile.LOCK.write_text(lock[: lock.rindex("md5", 0, int(len(lock) * part) + 3) + 2] if part else "")
    line = only(healthy)
    assert line.startswith("dvc.lock is broken off or damaged (")
    assert line.endswith(": `git checkout dvc.lock`, else `rm dvc.lock`")


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "is not a store of MLflow"), (b"not a database" * 100, "is not a database"), (None, "cannot be opened")],
    ids=["empty", "garbage", "folder"],
)
def test_what_is_no_database(healthy: Workspace, data: bytes | None, said: str) -> None:
    Path("mlflow.db").unlink()
    Path("mlflow.db").mkdir() if data is None else Path("mlflow.db").write_bytes(data)
    assert only(healthy).startswith(f"mlflow.db {said}")
    assert "`rm mlflow.db && python -m stages.track`" in only(healthy)


def test_a_store_left_in_a_migration(healthy: Workspace) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE _alembic_tmp_tags (key TEXT)")
    assert only(healthy).startswith("mlflow.db was left in the middle of its making")


def test_a_damaged_store(healthy: Workspace) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("CREATE TABLE runs (id TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [("x" * 3000,)] * 20)
        database.commit()
    data = bytearray(Path("mlflow.db").read_bytes())
    data[2 * 4096 : 4 * 4096] = bytes(2 * 4096)
    Path("mlflow.db").write_bytes(data)
    assert only(healthy).startswith("mlflow.db is damaged (")


def test_a_store_that_is_being_written_is_well(healthy: Workspace) -> None:
    with closing(sqlite3.connect("mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert healthy.run("doctor").out == "nothing found\n"


def with_versions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], needs: list[str]) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "requires", lambda name: needs)


@pytest.mark.parametrize(
    ("torch", "needs", "well"),
    [
        ("2.15.0", "torch>=2.14.0", True),
        ("2.15.0+cpu", "torch==2.15.0", True),
        ("2.13.1", "torch>=2.14.0", False),
        ("2.15.0", "torch==2.14.0", False),
    ],
)
def test_torchvision_of_another_torch(
    healthy: Workspace, monkeypatch: pytest.MonkeyPatch, torch: str, needs: str, well: bool
) -> None:
    with_versions(monkeypatch, {"torch": torch, "torchvision": "0.29.2"}, ["numpy", needs])
    told = f"torchvision 0.29.2 needs {needs}, not {torch}: `{doctor.INSTALL}`"
    assert findings(healthy) == ([] if well else [told])


def test_a_missing_package_is_named(healthy: Workspace) -> None:
    Path("requirements.lock").write_text(
        "numpy==2.0 \\\n    --hash=sha256:00\n    # via cifra\n"
        "no-such-package==1.0 ; python_version >= '3' \\\n    --hash=sha256:00\n"
        "nor-this-one==1.0 ; sys_platform == 'none' \\\n    --hash=sha256:00\n"
    )
    assert only(healthy).startswith("1 packages are missing (no-such-package): `python -m pip install")


@pytest.mark.slow
def test_it_runs_where_no_package_is_installed(healthy: Workspace) -> None:
    shutil.copyfile(ROOT / "requirements.lock", "requirements.lock")
    outcome = shell("-S", "-m", "cifra.doctor")
    assert outcome.err == ""
    assert outcome.out.splitlines()[0].startswith("packages are missing: `python -m pip install")


def test_another_python(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 8), (3, 9)))
    assert only(healthy).startswith(f"Python is {sys.version.split()[0]}, not 3.11 to 3.13: ")


def test_another_folder(healthy: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    healthy.monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert only(healthy).startswith("params.yaml is not here: ")


def test_little_space(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(".").free
    monkeypatch.setattr(doctor, "NEEDED_BYTES", 2 * free)
    lines = findings(healthy)
    assert lines[0].startswith(f"{Path.cwd()} has only ")
    assert "`dvc gc --workspace`" in lines[0]


@posix
@pytest.mark.slow
@pytest.mark.parametrize("folder", [".", "models", ".dvc/tmp"])
def test_a_folder_that_cannot_be_written(healthy: Workspace, folder: str) -> None:
    for place in (Path(), *healthy.root.parents[:3], *healthy.root.rglob("*/")):
        place.chmod(0o755 if place in healthy.root.parents else 0o777)
    Path(folder).chmod(0o555)
    script = (
        "import os; from cifra import doctor; os.getuid() or os.setuid(65534); "  # root may write anywhere
        "[print(f'{what}: {mend}') for what, mend in doctor.rights()]"
    )
    outcome = shell("-c", script)
    name = Path(folder).absolute()
    said = f"{name} cannot be written (Permission denied): `sudo chown -R $USER '{name}'`, `chmod u+w`\n"
    assert (outcome.out, outcome.err) == (said, "")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_is_taken(healthy: Workspace, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(doctor, "PORTS", {str(taken): "`python -m serve --port 8001`"})
    assert only(healthy) == f"port {taken} is taken: `python -m serve --port 8001`"


def test_what_a_killed_dvc_left(healthy: Workspace) -> None:
    left = Path("weights/.41Zmf1ZSm5NAg3x0lSrbmg.tmp")
    left.touch()
    assert only(healthy) == f"{left} was left by a DVC that died (or is one running?): `rm {left}`"


@posix
@pytest.mark.parametrize("place", ["weights/.one.{}.partial", "models/.one.onnx.{}.partial", ".mlflow.db.{}.partial"])
def test_what_a_dead_process_left_half_written(healthy: Workspace, place: str) -> None:
    left = Path(place.format(dead()))
    left.touch()
    assert only(healthy) == f"{left} was left half written by a process that died: `rm -r {left}`"


def test_what_a_living_process_is_writing_is_well(healthy: Workspace) -> None:
    Path(f"models/.one.onnx.{os.getpid()}.partial").touch()
    assert findings(healthy) == []


def test_the_checkpoints_of_a_killed_training(healthy: Workspace) -> None:
    Path(".checkpoints/0123").mkdir()
    Path(".checkpoints/0123/00001-aa.safetensors").write_bytes(bytes(200_000))
    assert only(healthy).startswith(".checkpoints/0123 keeps 0.2 MB of a training that was killed: `dvc repro` goes on")


def test_the_checkpoints_of_a_training_that_runs_are_well(healthy: Workspace) -> None:
    Path(".checkpoints/0123").mkdir()
    Path(".checkpoints/0123/00001-aa.safetensors").write_bytes(b"1")
    with FileLock(".checkpoints/one.lock"):
        assert healthy.run("doctor").out == "nothing found\n"
