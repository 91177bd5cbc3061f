"""Each trouble is made, then found, named and with the command that mends it."""

import os
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from cifra import doctor
from tests.workspace import Workspace

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights and users")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever serves on this machine is not our concern here, nor who uses its git; DVC and pip are content."""
    monkeypatch.setattr(doctor, "PORTS", {})
    monkeypatch.setattr(doctor, "said", lambda *_: (0, "{}"))
    for name in ("NAME", "EMAIL"):
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", "t@localhost")
    monkeypatch.setenv("LOGNAME", "t")
    monkeypatch.setattr(sys, "prefix", "nowhere")


@pytest.fixture
def healthy(workspace: Workspace) -> Workspace:
    subprocess.run(["git", "init", "-q"], check=True)
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


def test_a_healthy_repository_has_nothing(healthy: Workspace) -> None:
    assert findings(healthy) == []


def test_away_from_the_root(healthy: Workspace) -> None:
    Path("params.yaml").unlink()
    assert only(healthy).startswith("params.yaml is not here: run this, and everything, at the root")


def test_another_python(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", namedtuple("Version", "major minor micro")(3, 14, 0))
    assert "not 3.11 to 3.13: `rm -r .venv && make PYTHON=python3.13`" in only(healthy)


def test_missing_packages_are_counted_and_named(healthy: Workspace) -> None:
    pins = ["numpy==2.0", "ruamel-yaml==0.18", "not-there==1.0", "other==1 ; sys_platform == 'nowhere'"]
    Path("requirements.lock").write_text("".join(f"{pin} \\\n    --hash=sha256:00\n" for pin in pins))
    assert only(healthy).startswith("1 packages are missing (not-there): `make`, or `python -m pip install")


def test_packages_that_do_not_fit_together(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "torchvision 0.25 has requirement torch==2.10.0, but you have torch 2.11.0."
    monkeypatch.setattr(doctor, "said", lambda module, *_: (1, text) if module == "pip" else (0, "{}"))
    assert only(healthy).startswith(text.rstrip("."))


@posix
@pytest.mark.parametrize("line", ["VIRTUAL_ENV={}", 'VIRTUAL_ENV="{}"', "VIRTUAL_ENV='{}'"])
def test_an_environment_that_was_moved(healthy: Workspace, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    activate = Path("new place/bin/activate")
    activate.parent.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", "new place")
    activate.write_text(line.format(Path("new place").absolute()) + "\nexport VIRTUAL_ENV\n")
    assert findings(healthy) == []
    activate.write_text(line.format("/an/old place") + "\nexport VIRTUAL_ENV\n")
    assert only(healthy) == "new place was made as /an/old place and then moved: `make`, which makes it anew"


def test_an_archive_of_the_source_without_git(workspace: Workspace) -> None:
    assert only(workspace).startswith("this is no git repository: `git init`, or `dvc config core.no_scm true`")


def test_who_does_without_git_is_left_alone(workspace: Workspace) -> None:
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n")
    assert findings(workspace) == []


def test_a_machine_without_git(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert only(healthy).startswith("git is not installed: ")


@pytest.mark.parametrize("setting", ["name", "email"])
def test_a_git_that_does_not_know_who_commits(
    healthy: Workspace, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.delenv(f"GIT_COMMITTER_{setting.upper()}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    wanted = f"git has no user.{setting}, which `dvc exp run` needs: `git config --global user.{setting} …`"
    assert only(healthy) == wanted
    subprocess.run(["git", "config", f"user.{setting}", "t"], check=True)
    assert findings(healthy) == []


@posix
def test_a_user_without_a_name(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4242424)
    assert only(healthy) == "user 4242424 has no name, which DVC asks for: `export LOGNAME=cifra`"


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("ERROR: Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON structure is corrupted", "`rm .dvc/tmp/rwlock`"),
        ("'./dvc.lock' is invalid.\n\nWhile parsing a flow node", "`git checkout dvc.lock`"),
        ("No module named dvc", "as it says"),
    ],
)
def test_what_dvc_cannot_get_past(healthy: Workspace, monkeypatch: pytest.MonkeyPatch, text: str, mend: str) -> None:
    monkeypatch.setattr(doctor, "said", lambda module, *_: (255, text) if module == "dvc" else (0, ""))
    assert only(healthy) == f"DVC: {' '.join(text.split())}: {mend}"


@pytest.mark.slow
def test_an_experiment_that_was_deleted_in_the_page(healthy: Workspace) -> None:
    from stages.core.tracking import store

    client = store.connect()
    assert findings(healthy) == []
    number = store.experiment(client, "digits")
    client.delete_experiment(number)
    wanted = f"MLflow's experiment digits is deleted: `mlflow experiments restore --experiment-id {number}`"
    assert only(healthy) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_store_that_is_none(healthy: Workspace, data: bytes) -> None:
    Path("mlflow.db").write_bytes(data)
    assert only(healthy).startswith("MLflow's store does not work (")


def test_little_space(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 1_400_000_000))
    assert findings(healthy)[0].endswith("has only 1.4 GB left: `dvc gc --workspace` drops old results")


@posix
@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(healthy: Workspace) -> None:
    Path().chmod(0o555)
    assert "cannot be written (Permission denied)" in only(healthy)


def test_a_port_that_is_taken(healthy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        monkeypatch.setattr(doctor, "PORTS", {port: "take another"})
        assert only(healthy) == f"port {port} is taken: take another"


@posix
@pytest.mark.parametrize("is_set", [False, True])
def test_an_index_that_others_may_write(
    healthy: Workspace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o777)
    monkeypatch.setattr(doctor, "said", lambda *words: (0, str(folder) * is_set if "config" in words else "{}"))
    assert only(healthy).startswith("DVC's index lies where other accounts may write: `mkdir -p .dvc/site")
