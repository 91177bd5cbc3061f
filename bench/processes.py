"""A server in a process group of its own, on one core, and what it costs."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVER_CORE = "0"
START_SECONDS = 90
Process = subprocess.Popen[bytes]


class DidNotStart(Exception):
    """With the server's last words."""


@contextmanager
def started(
    command: Sequence[str], health: str, log: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Process, float]]:
    """The server on its core, answering at the URL `health`; and the seconds that took."""
    path = f"{Path(command[0]).parent}:{os.environ['PATH']}"
    begin = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *command],
            cwd=ROOT,
            env={**os.environ, **environment, "PATH": path},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, health, log)
        yield process, time.perf_counter() - begin
    finally:
        _stop(process)


def _wait_until_ready(process: Process, health: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(health, timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise DidNotStart(log.read_text(errors="replace")[-2000:])


def _stop(process: Process) -> None:
    """The process and its workers: the group that it leads."""
    for number in (15, 9):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    time.sleep(0.5)


def _tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(directory.name)] = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def cpu_seconds(root: int) -> float:
    ticks = 0
    for process in _tree(root):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(root: int) -> float:
    pages = sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in _tree(root))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
