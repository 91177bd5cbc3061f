"""Where the arithmetic is done, chosen once and recorded everywhere."""

import ctypes
import os
import sys

import torch

from stages.core.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def resolve(wanted: str) -> str:
    """`auto` is cuda, else mps, else cpu; an accelerator that is asked for by name must be there."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, is_there in present.items() if is_there)
    if not present[wanted]:
        have = ", ".join(name for name, is_there in present.items() if is_there)
        raise UserError(
            f"accelerator {wanted} is not on this machine, which has {have}: "
            "set accelerator: auto in params.yaml, or -S accelerator=cpu"
        )
    return wanted


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one; giving it back each time took 40 % of conv_net's time."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # bytes, the most that glibc takes
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def make_deterministic(seed: int, threads: int) -> None:
    """Same seed, same bits, on the same machine and number of threads. Call before a network is built."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
