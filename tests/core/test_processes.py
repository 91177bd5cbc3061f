import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stages.core.cli import processes
from tests.workspace import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell of a parent's death")

PLAIN = [sys.executable, "-m", "stages.train", "lenet_28"]
ENDLESS_IMPORT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
# dash, which is /bin/sh on Debian, starts even its last command as a child; other shells do so before a further one.
THROUGH_A_SHELL = ["/bin/sh", "-c", f"{shlex.join(PLAIN)}; :"]
throughs = pytest.mark.parametrize("command", [PLAIN, THROUGH_A_SHELL], ids=["plain", "through a shell"])


@pytest.fixture
def path(tmp_path: Path) -> str:
    """To the stages, and to a torch that is being imported for a minute."""
    (tmp_path / "torch.py").write_text(ENDLESS_IMPORT)
    return f"{tmp_path}{os.pathsep}{ROOT}"


@contextlib.contextmanager
def started(path: str, command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """As DVC: a process that starts a stage, with this environment, and waits for it; and the stage's number."""
    starter = f"import os, subprocess; subprocess.run({command!r}, env={{**os.environ, **{environment!r}}})"
    own = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    process = subprocess.Popen(
        [sys.executable, "-c", starter], env={**own, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        stage = int(process.stdout.readline())
        try:
            yield process, stage
        finally:
            for number in (process.pid, stage):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


@pytest.mark.slow
@throughs
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_stage_ends_with_the_dvc_that_started_it(path: str, command: list[str], how: signal.Signals) -> None:
    with started(path, command, DVC_STAGE="train@one") as (starter, _):
        starter.send_signal(how)
        starter.communicate(timeout=20 * processes.LOOK_S)  # to the end of the pipe: nobody holds it any more


@pytest.mark.slow
def test_a_stage_ends_with_its_shell(path: str) -> None:
    with started(path, THROUGH_A_SHELL, DVC_STAGE="train@one") as (starter, _):
        (shell,) = psutil.Process(starter.pid).children()
        shell.kill()
        starter.communicate(timeout=20 * processes.LOOK_S)


@pytest.mark.slow
@throughs
def test_a_stage_started_by_hand_outlives_the_shell(path: str, command: list[str]) -> None:
    with started(path, command) as (starter, _):
        starter.kill()
        with pytest.raises(subprocess.TimeoutExpired):
            starter.communicate(timeout=4 * processes.LOOK_S)


def test_a_process_that_has_ended_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert processes.is_alive(ended.pid)
    ended.wait()
    assert not processes.is_alive(ended.pid)


@pytest.mark.parametrize(
    ("process", "alive"),
    [(os.getpid(), True), (1, True), (0, False), (-1, False)],
    ids=["this", "the first", "none", "negative"],
)
def test_who_is_alive(process: int, alive: bool) -> None:
    assert processes.is_alive(process) is alive


def test_an_interruption_while_garbage_is_collected_is_not_lost_and_wakes_who_sleeps() -> None:
    class Garbage:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        Garbage()
        time.sleep(10)

    started = time.monotonic()
    with pytest.raises(processes.Interrupted), processes.interruptible():
        work()
    assert time.monotonic() - started < 5


def test_another_fault_while_garbage_is_collected_is_told_to_who_listened_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Garbage:
        def __del__(self) -> None:
            raise ValueError("a fault of the library's")

    told: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: told.append(fault.exc_value))
    with processes.interruptible():
        Garbage()
    assert [type(fault) for fault in told] == [ValueError]
