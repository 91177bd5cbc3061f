import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from stages.core.cli.command import command
from stages.core.cli.errors import UserError
from tests.workspace import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes and signals")


def exit_code(main: object, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    assert callable(main)
    try:
        command(main, "What it does.\n\n    and how")
    except SystemExit as end:
        return end.code
    return 0


def test_a_stage_that_ends_well_exits_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(lambda: None, monkeypatch) == 0


def test_garbage_is_collected_while_a_stage_works_though_not_while_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.disable()
    seen: list[bool] = []
    assert exit_code(lambda: seen.append(gc.isenabled()), monkeypatch) == 0
    assert seen == [True]
    starting = "import sys; sys.argv = ['-m']; import gc, stages; print(gc.isenabled())"
    started = subprocess.run([sys.executable, "-c", starting], cwd=ROOT, stdout=PIPE, text=True, check=True)
    assert started.stdout == "False\n"


def test_a_mistake_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise UserError("seed is -1")

    assert exit_code(main, monkeypatch) == 2
    assert capsys.readouterr() == ("", "error: seed is -1\n")


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[str]]:
    """A stage in a process of its own, in the middle of its work."""
    script = (
        "import time; from stages.core.cli.command import command\n"
        "def main():\n"
        "    try:\n        print('here', flush=True); time.sleep(60)\n"
        "    finally:\n        print('tidied')\n"
        "command(main, '')"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@posix
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stage_that_is_told_to_end_tidies_up(sleeping: subprocess.Popen[str], how: signal.Signals, code: int) -> None:
    sleeping.send_signal(how)
    assert sleeping.communicate(timeout=10) == ("tidied\n", "interrupted\n")
    assert sleeping.returncode == code


@posix
def test_ctrl_c_during_the_imports_is_silent(tmp_path: Path) -> None:
    """A torch that never ends to be imported."""
    (tmp_path / "torch.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command_line = [sys.executable, "-m", "stages.train", "lenet_28"]
    with subprocess.Popen(command_line, env=environment, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_under_dvc_it_is_said_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("DVC_STAGE", "split")
    assert exit_code(main, monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted: `dvc repro` runs this stage again\n"


def test_the_handlers_of_the_caller_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert exit_code(lambda: None, monkeypatch) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@posix
def test_ctrl_c_that_the_shell_keeps_from_a_stage_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert exit_code(main, monkeypatch) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(main, monkeypatch)


def test_the_network_is_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def main(network: str) -> None:
        seen.append(network)

    assert exit_code(main, monkeypatch, "lenet_28") == 0
    assert seen == ["lenet_28"]


@pytest.mark.parametrize("arguments", [(), ("lenet_28", "conv_net"), ("--epochs", "3")])
def test_other_arguments_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    def main(network: str) -> None:
        raise AssertionError(network)

    assert exit_code(main, monkeypatch, *arguments) == 2
    assert "usage: cifra test_command" in capsys.readouterr().err


def test_help_is_the_usage_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: None, monkeypatch, "--help") == 0
    assert "What it does.\n\n    and how\n" in capsys.readouterr().out


@posix
@pytest.mark.parametrize("main", ["lambda: print('a' * 10**6)", "lambda: print('a')"], ids=["at once", "at the end"])
def test_when_nobody_reads_a_stage_ends_without_a_word(main: str) -> None:
    script = f"from stages.core.cli.command import command; command({main}, '')"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
