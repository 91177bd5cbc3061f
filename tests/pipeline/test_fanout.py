"""Many trainings at once give what `dvc repro` gives, here, under Slurm and Ray, and leave it nothing to train."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.clone import yaml
from cifra import fanout
from stages.core.cli.errors import UserError
from tests.pipeline.conftest import NETWORKS, Repository

SLURM = Path(__file__).with_name("slurm.sh")
NAMESPACE = ("unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc")  # takes every daemon with it at its end
LINUX = sys.platform == "linux" and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("unshare")
ENGINES = [
    pytest.param((), id="local"),
    pytest.param(
        (*NAMESPACE, str(SLURM), "{place}/slurm"),
        id="slurm",
        marks=pytest.mark.skipif(not (LINUX and shutil.which("slurmctld")), reason="needs Linux, root and Slurm"),
    ),
    pytest.param(
        (*NAMESPACE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
        id="ray",
        marks=pytest.mark.skipif(
            not (LINUX and importlib.util.find_spec("ray")), reason="needs Linux, root and the extra `ray`"
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("within", ENGINES)
def test_the_same_bytes_and_nothing_is_left_to_train(
    repository: Repository,
    others: Iterator[Repository],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    within: tuple[str, ...],
) -> None:
    engine = request.node.callspec.id
    there = next(others)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nodes"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    there.run("dvc", "repro", "split")
    there.run("dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    there.commit()
    command = [part.format(place=tmp_path) for part in within]
    said = there.run(*command, sys.executable, "-m", "cifra", "fanout", "--on", engine)
    assert f"train: {len(NETWORKS)} done" in said
    assert not any((tmp_path / "nodes").rglob("dvc.yaml"))
    assert [line for line in there.run("dvc", "status").splitlines() if line.startswith("train@")] == []
    made, wanted = (yaml.load(each.path / "dvc.lock")["stages"] for each in (there, repository))
    assert {name: made[f"train@{name}"] for name in NETWORKS} == {name: wanted[f"train@{name}"] for name in NETWORKS}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"on": "kubernetes"}, "one of local, slurm, ray"),
        ({"jobs": "0"}, "at least 1"),
        ({"stage": "trian"}, "dvc.yaml has download, split, train"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(options: dict[str, str], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        fanout.main(**options)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of one stage with two instances, of which the one called bad fails."""
    monkeypatch.chdir(tmp_path)
    for command in (("git", "init", "-q"), (*fanout.DVC, "init", "-q")):
        subprocess.run(command, check=True)
    Path("dvc.yaml").write_text("stages:\n  work:\n    matrix: {x: [bad, good]}\n    cmd: test ${item.x} = good\n")
    return tmp_path


def test_what_fails_is_named_and_the_rest_is_done(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert fanout.main(stage="work", jobs="1") == 1
    assert "error: work@bad failed" in capfd.readouterr().err
    assert "work@good" in Path("dvc.lock").read_text()


def test_two_at_once_do_not_mix(project: Path) -> None:
    with fanout.FileLock(".dvc/tmp/fanout.lock"), pytest.raises(UserError, match="is running: wait"):
        fanout.main(stage="work")


def test_nodes_need_a_remote_and_a_commit(project: Path) -> None:
    with pytest.raises(UserError, match="dvc remote add -d"):
        fanout.main(on="slurm", stage="work")
    subprocess.run([*fanout.DVC, "remote", "add", "-q", "-d", "store", str(project / "store")], check=True)
    subprocess.run(["git", "add", "-A"], check=True)
    with pytest.raises(UserError, match="commit it"):
        fanout.main(on="slurm", stage="work")
