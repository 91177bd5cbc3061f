"""Which processes are alive, and how a stage ends: with the DVC that started it, or when it is told to."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psutil import Process

LOOK_S = 0.5
Report = Callable[["sys.UnraisableHookArgs"], Any]


def is_alive(process: int) -> bool:
    import psutil  # here, so that what needs no packages works without it

    return process > 0 and psutil.pid_exists(process)


def end_with_dvc() -> None:
    """Die when DVC dies: killed alone it leaves its stage running, and its next start deletes what that one makes."""
    if "DVC_STAGE" in os.environ and sys.platform != "win32":
        threading.Thread(target=_watch, args=(_up_to_dvc(),), daemon=True, name="parents").start()


def _up_to_dvc() -> "list[tuple[Process, int]]":
    """Each process with the number of its parent, from ours to the child of DVC: between them may stand a shell.

    What DVC starts has DVC_STAGE in its environment, and DVC itself has not.
    """
    import psutil

    process = psutil.Process()
    chain = [(process, process.ppid())]
    with suppress(psutil.Error):  # a process of another user or of the system: not one between DVC and us
        while (parent := process.parent()) and "DVC_STAGE" in parent.environ():
            chain.append((parent, parent.ppid()))
            process = parent
    return chain


def _watch(chain: "list[tuple[Process, int]]") -> None:
    """Whoever loses its parent is given another one at once, even while that parent is a zombie."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        while all(process.ppid() == parent for process, parent in chain):
            time.sleep(LOOK_S)
    os._exit(143)  # at any moment, as by kill -9, which every stage survives


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the SIGTERM of whoever stops programs. Its notes say what the user should know."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """A signal to end raises Interrupted, so that a stage leaves nothing half-written; the second ends it at once."""
    wanted = [signal.SIGTERM] + [signal.SIGINT] * (signal.getsignal(signal.SIGINT) != signal.SIG_IGN)
    before = {number: signal.signal(number, _interrupt) for number in wanted}
    report = sys.unraisablehook
    sys.unraisablehook = partial(_interrupt_again, report)
    try:
        yield
    finally:
        sys.unraisablehook = report
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise Interrupted(number)


def _interrupt_again(report: Report, ignored: "sys.UnraisableHookArgs") -> None:
    """Python ignores what is raised in a finalizer: without this the signal would be lost."""
    if isinstance(ignored.exc_value, Interrupted):
        number = ignored.exc_value.exit_code - 128
        signal.signal(number, _interrupt)
        threading.Timer(0.01, _signal_main_thread, [number]).start()
    else:
        report(ignored)


def _signal_main_thread(number: int) -> None:
    """A signal to another thread is kept until the main one wakes, which may sleep for long."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
