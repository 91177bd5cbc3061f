"""verify on a repository that DVC itself made; what it advises is done, and mends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifra import verify
from stages.core.cli.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PIPELINE = """
stages:
  make:
    cmd: mkdir -p folder && echo 1 > folder/one && echo 2 > folder/two && echo file > file && echo 7 > metrics.json
    outs: [folder, file]
    metrics: [metrics.json: {cache: false}]
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("repository")
    before = Path.cwd()
    os.chdir(path)
    (path / "dvc.yaml").write_text(PIPELINE)
    run("git", "init", "-q")
    run(sys.executable, "-m", "dvc", "init", "-q")
    run(sys.executable, "-m", "dvc", "repro", "-q")
    run("git", "add", ".")
    run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "made")
    yield path
    os.chdir(before)


def flip_a_bit(path: Path) -> None:
    """As a failing disk does: the dates stay."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    os.utime(path, ns=times)


def findings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    code = verify.main()
    *found, last = capsys.readouterr().out.splitlines()
    assert code == int(bool(found))
    assert last == (f"{len(found)} differences from dvc.lock: mend them as said" if found else "all is as recorded")
    return found


def do(advice: str) -> None:
    """The first command between backticks."""
    run("sh", "-c", advice.split("`")[1].replace("dvc ", f"{sys.executable} -m dvc ", 1))


def test_nothing_changed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(capsys) == []


@pytest.mark.parametrize("name", ["folder/one", "file", "metrics.json"])
def test_a_flipped_bit_is_named_and_mended_though_the_date_is_the_same(
    repository: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    flip_a_bit(repository / name)
    (line,) = findings(capsys)
    assert line.startswith(f"{name} has changed: ")
    do(line)
    assert findings(capsys) == []


def test_what_is_missing_and_what_is_extra(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "folder/two").unlink()
    (repository / "folder/new").touch()
    lines = sorted(findings(capsys))
    assert [line.partition(":")[0] for line in lines] == ["folder/new is extra", "folder/two is missing"]
    for line in lines:
        do(line)
    assert findings(capsys) == []


@pytest.mark.parametrize(("output", "text"), [("folder", b"2\n"), ("file", b"file\n")])
def test_what_is_damaged_in_the_cache_is_named_and_mended(
    repository: Path, capsys: pytest.CaptureFixture[str], output: str, text: bytes
) -> None:
    kept = next(path for path in repository.glob(".dvc/cache/files/md5/*/*") if path.read_bytes() == text)
    flip_a_bit(kept)
    (line,) = findings(capsys)
    assert line.startswith(f"{output} is no longer kept by DVC, or was damaged there: ")
    do(line)
    assert kept.read_bytes() == text
    assert findings(capsys) == []


def test_without_a_repository_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        verify.main()
