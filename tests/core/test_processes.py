import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core import processes
from tests.workspace import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell of a parent's death")

STAGE = "import time; from stages.core.command import command; command(lambda: time.sleep(60), '')"
# As DVC: starts a stage and waits for it, and says which process that is.
STARTER = (
    "import subprocess, sys; "
    f"stage = subprocess.Popen([sys.executable, '-c', {STAGE!r}]); print(stage.pid, flush=True); stage.wait()"
)


def start(**environment: str) -> tuple[subprocess.Popen[str], int]:
    own = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        env={**own, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    return starter, int(starter.stdout.readline())


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_stage_ends_with_the_dvc_that_started_it(how: signal.Signals) -> None:
    starter, stage = start(DVC_STAGE="train@one")
    try:
        wait_until_it_watches(stage)
        starter.send_signal(how)
        starter.wait()
        starter.communicate(timeout=20 * processes.LOOK_S)  # to the end of the pipe: nobody holds it any more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stage, signal.SIGKILL)


@pytest.mark.slow
def test_a_stage_started_by_hand_outlives_the_shell() -> None:
    starter, stage = start()
    try:
        starter.kill()
        starter.wait()
        with pytest.raises(subprocess.TimeoutExpired):
            starter.communicate(timeout=4 * processes.LOOK_S)
    finally:
        os.kill(stage, signal.SIGKILL)
    starter.communicate()


def wait_until_it_watches(stage: int) -> None:
    """Two threads: the stage and its watch."""
    tasks = Path(f"/proc/{stage}/task")
    if not tasks.parent.exists():
        pytest.skip("without /proc the moment cannot be told")
    while len(list(tasks.iterdir())) < 2:
        assert processes.is_alive(stage)


def test_a_process_that_has_ended_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert processes.is_alive(ended.pid)
    ended.wait()
    assert not processes.is_alive(ended.pid)


@pytest.mark.parametrize(("process", "alive"), [(os.getpid(), True), (1, True), (0, False), (-1, False)])
def test_who_is_alive(process: int, alive: bool) -> None:
    assert processes.is_alive(process) is alive
