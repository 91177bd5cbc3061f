"""Where the arithmetic is done, chosen once and recorded everywhere."""

import ctypes
import os
import sys

import torch

from stages.core.cli.errors import UserError

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


def resolve_precision(wanted: str, accelerator: str) -> str:
    """`auto` is bf16 where the accelerator has it in hardware, else fp32; a type asked for by name must be there."""
    present = {"fp32": True, "bf16": _has_bf16(accelerator), "tf32": accelerator == "cuda"}
    if wanted == "auto":
        return "bf16" if present["bf16"] else "fp32"
    if not present[wanted]:
        have = ", ".join(name for name, is_there in present.items() if is_there)
        raise UserError(
            f"precision {wanted} is not in this machine's {accelerator}, which has {have}: "
            f"set compute.{accelerator}.precision: auto, and the precision of the network, in params.yaml"
        )
    return wanted


def _has_bf16(accelerator: str) -> bool:
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 may not say: fp32 then
    return accelerator == "cpu" and bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


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
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which imports the compiler too
    # Filling new memory with NaN is a check of torch itself, and up to 7 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def set_precision(precision: str) -> None:
    """What fp32 means on CUDA: itself, unless tf32 is chosen, which keeps its range and 10 bits of its fraction."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
