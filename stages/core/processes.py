"""Which processes are alive, and a stage that does not outlive the DVC that started it."""

import os
import sys
import threading
import time

LOOK_S = 0.5


def is_alive(process: int) -> bool:
    """On Windows, where asking would need another way, every process passes for alive."""
    if sys.platform == "win32":
        return True
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_with_dvc() -> None:
    """Die when DVC dies: killed alone it leaves its stage running, and its next start deletes what that one makes."""
    if "DVC_STAGE" in os.environ and sys.platform != "win32":
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(143)  # at any moment, as by kill -9, which every stage survives
