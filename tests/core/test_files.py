import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.core.cli import files
from stages.core.cli.errors import UserError
from tests.workspace import ROOT, Workspace, shell

AS_NOBODY = "os.getuid() or os.setuid(65534)"  # root may write anywhere
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither signals nor limits of this kind")


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    files.write(tmp_path / "new" / "folder" / "file", b"all of it")
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == b"all of it"
    assert os.listdir(tmp_path / "new" / "folder") == ["file"]


@posix
@pytest.mark.parametrize("stop", ["os.fsync", "pathlib.Path.replace"])
def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path, stop: str) -> None:
    """Killed with the new bytes on disk, just before they would be made safe or published."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import os, pathlib, signal; from stages.core.cli import files; "
        f"{stop} = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        f"files.write(pathlib.Path({str(path)!r}), b'new' * 100_000)"
    )
    assert shell("-c", script).code == -signal.SIGKILL
    assert path.read_bytes() == b"old"


@posix
def test_a_kill_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    script = (
        "import itertools, pathlib; from stages.core.cli import files\n"
        f"for n in itertools.count(): files.write(pathlib.Path({str(path)!r}), b'%07d' % n * 10_000)"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    while not path.exists():
        assert running.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.2)
    running.kill()
    running.wait()
    data = path.read_bytes()
    assert data == data[:7] * 10_000


@posix
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import pathlib, resource, signal; from stages.core.cli import files; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        f"files.write(pathlib.Path({str(path)!r}), bytes(2000))"
    )
    outcome = shell("-c", script)
    assert "UserError: cannot write" in outcome.err.splitlines()[-1]
    assert "Free some space" in outcome.err.splitlines()[-1]
    assert {name.name: name.read_bytes() for name in tmp_path.iterdir()} == {"file": b"old"}


@posix
@pytest.mark.parametrize(
    "action",
    [
        "files.write(path / 'file', b'new')",
        "files.write(path / 'new' / 'file', b'new')",
        "files.fresh_folder(path / 'folder').__enter__()",
    ],
)
def test_a_read_only_folder_is_one_line_and_nothing_is_left(tmp_path: Path, action: str) -> None:
    folder = tmp_path / "read only"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)  # pytest keeps them from others
    script = f"import os, pathlib; from stages.core.cli import files; {AS_NOBODY}; path = pathlib.Path(); {action}"
    outcome = shell("-c", script, cwd=folder)
    assert "UserError: cannot write" in outcome.err.splitlines()[-1]
    assert "Permission denied" in outcome.err.splitlines()[-1]
    assert list(folder.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*data"):
        files.write(tmp_path / "data" / "file", b"")


def test_a_fresh_folder_replaces_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "stale").touch()
    with files.fresh_folder(folder) as fresh:
        (fresh / "new").touch()
    assert os.listdir(folder) == ["new"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_fresh_folder_that_failed_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()

    def fail() -> None:
        with files.fresh_folder(folder) as fresh:
            (fresh / "new").touch()
            raise UserError("no ink")

    with pytest.raises(UserError, match="no ink"):
        fail()
    assert os.listdir(folder) == ["old"]
    assert os.listdir(tmp_path) == ["folder"]


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@posix
def test_what_a_dead_writer_left_is_swept_when_the_file_is_written_again(tmp_path: Path, dead: int) -> None:
    (tmp_path / f".file.{dead}.partial").touch()
    (tmp_path / f".other.{dead}.partial").touch()
    files.write(tmp_path / "file", b"")
    assert sorted(os.listdir(tmp_path)) == [f".other.{dead}.partial", "file"]


@posix
def test_what_a_dead_writer_left_is_swept_when_the_folder_is_made_again(tmp_path: Path, dead: int) -> None:
    left = tmp_path / f".folder.{dead}.partial" / "inner"
    left.mkdir(parents=True)
    (left / "half").touch()
    with files.fresh_folder(tmp_path / "folder"):
        pass
    assert os.listdir(tmp_path) == ["folder"]


def test_what_a_living_writer_holds_stays(tmp_path: Path) -> None:
    held = tmp_path / f".file.{os.getppid()}.partial"
    held.touch()
    (tmp_path / ".file.notes.partial").touch()
    files.write(tmp_path / "file", b"")
    assert sorted(os.listdir(tmp_path)) == sorted([held.name, ".file.notes.partial", "file"])


@posix
@pytest.mark.parametrize("publish", [lambda path: files.write(path, b""), lambda path: files.fresh_folder(path)])
def test_the_folder_is_made_safe_after_the_new_name_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: object
) -> None:
    seen: list[bool] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            seen.append((tmp_path / "new").exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    assert callable(publish)
    with publish(tmp_path / "new") or contextlib.nullcontext():
        pass
    assert seen == [True]


def test_json_has_the_same_bytes_whatever_the_order() -> None:
    assert files.json_bytes({"b": [1, 0.5], "a": "ñ"}) == '{"a":"ñ","b":[1,0.5]}'.encode()
    assert files.json_bytes({"a": 1, "b": 2}) == files.json_bytes({"b": 2, "a": 1})


def test_json_takes_no_value_that_others_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_csv_comes_back_as_it_went(tmp_path: Path) -> None:
    rows = [{"name": "T-shirt, top", "loss": 1 / 3}, {"name": 'a "b"\nc', "loss": 1e-9}]
    files.write_csv(tmp_path / "file.csv", rows)
    assert files.read_csv(tmp_path / "file.csv") == [
        {"name": "T-shirt, top", "loss": "0.333333"},
        {"name": 'a "b"\nc', "loss": "1e-09"},
    ]


def test_numpy_floats_are_cut_like_pythons(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "file.csv", [{"loss": np.float64(1) / 3}])
    assert files.read_csv(tmp_path / "file.csv") == [{"loss": "0.333333"}]


@pytest.mark.parametrize("text", ["", "{", '{"a": ', "\0"])
def test_damaged_json_is_one_line(workspace: Workspace, text: str) -> None:
    Path("file.json").write_text(text)
    with pytest.raises(UserError, match=r"^file\.json is damaged .*dvc repro[^\n]*$"):
        files.read_json(Path("file.json"))


@pytest.mark.parametrize("read", [files.read_json, files.read_csv])
def test_a_missing_file_says_what_makes_it(read: object, tmp_path: Path) -> None:
    assert callable(read)
    with pytest.raises(UserError, match="is missing: run `dvc repro`"):
        read(tmp_path / "none")
