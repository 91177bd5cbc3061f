import os
import subprocess
import sys

import pytest

from stages.core.command import command
from stages.core.errors import UserError
from tests.workspace import ROOT


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


def test_a_mistake_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise UserError("seed is -1")

    assert exit_code(main, monkeypatch) == 2
    assert capsys.readouterr() == ("", "error: seed is -1\n")


def test_an_interruption_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    assert exit_code(main, monkeypatch) == 130
    assert capsys.readouterr().err == ""


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
    assert "usage: python -m stages.test_command" in capsys.readouterr().err


def test_help_is_the_usage_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: None, monkeypatch, "--help") == 0
    assert "What it does.\n\n    and how\n" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
@pytest.mark.parametrize("main", ["lambda: print('a' * 10**6)", "lambda: print('a')"], ids=["at once", "at the end"])
def test_when_nobody_reads_a_stage_ends_without_a_word(main: str) -> None:
    script = f"from stages.core.command import command; command({main}, '')"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
