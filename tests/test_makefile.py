"""What make says and would do, before anything is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspace import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None or sys.platform == "win32", reason="there is no make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As cloned, with what make looks at; at a path with a space."""
    path = tmp_path / "a checkout"
    path.mkdir()
    for name in ("Makefile", "requirements.lock", "requirements-test.lock", "requirements-uv.lock"):
        shutil.copy(ROOT / name, path)
    subprocess.run(["git", "init", "-q", path], check=True)
    return path


def make(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments, f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, check=False)


def install(path: Path) -> None:
    """As if it had been."""
    (path / ".venv").mkdir()
    (path / ".venv/.installed").write_text(f"{path}\n")


def test_nothing_is_installed_twice(checkout: Path) -> None:
    install(checkout)
    assert "pip" not in make(checkout, "-n", "setup").stdout


def test_a_moved_environment_is_made_anew(checkout: Path) -> None:
    install(checkout)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    told = make(moved, "-n", "setup").stdout.splitlines()
    assert any("rm -rf .venv" in line for line in told)
    assert any("-m venv .venv" in line for line in told)


def test_no_script_of_the_environment_is_called_by_name(checkout: Path) -> None:
    """They hold the path at which they were made."""
    told = make(checkout, "-n", "all", "test", "lint", "ui", "serve").stdout
    assert [line for line in told.splitlines() if line.split()[0] in ("dvc", "pytest", "ruff", "mypy", "cifra")] == []


def test_an_archive_of_the_source_is_told_before_anything_is_installed(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    done = make(checkout, "setup")
    assert done.returncode == 2
    assert done.stderr.startswith("error: DVC needs a git repository, which this folder is not: run git init")
    assert not (checkout / ".venv").exists()


def test_an_archive_of_the_source_may_do_without_git(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    (checkout / ".dvc").mkdir()
    (checkout / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    assert make(checkout, "repository").returncode == 0


@pytest.mark.parametrize(("target", "locks"), [("setup", 1), ("test", 2), ("lint", 2)])
def test_test_tools_are_installed_for_tests_alone(checkout: Path, target: str, locks: int) -> None:
    told = make(checkout, "-n", target).stdout
    assert ("requirements-test.lock" in told) is (locks == 2)
    assert "--require-hashes -r requirements.lock" in told


def test_text_has_the_same_bytes_on_every_system(tmp_path: Path) -> None:
    """In a clone by somebody whose git changes the ends of lines."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    for name in (".gitattributes", "params.yaml", "stages/train.py", "docs/page.png"):
        (clone / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    git = ["git", "-C", str(clone), "-c", "core.autocrlf=true", "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run([*git, "add", "."], check=True, capture_output=True)
    subprocess.run([*git, "commit", "-qm", "t"], check=True)
    for name in ("params.yaml", "stages/train.py", "docs/page.png"):
        (clone / name).unlink()
    subprocess.run([*git, "checkout", "-q", "."], check=True)
    for name in ("params.yaml", "stages/train.py", "docs/page.png"):
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()
