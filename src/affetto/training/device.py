"""Device that `--device` asks for: its precision, its accelerator, the rate of a large matrix product on it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache

import torch
from accelerate import Accelerator, PartialState

from affetto.errors import UserError, unknown
from affetto.models.device import KINDS, accelerator_kind, capabilities, native_bfloat16, synchronise

DEVICES = ("auto", *KINDS)
"""Names that `--device` takes, beside that of an accelerator that is plugged into torch."""
REPETITIONS, NARROWEST, LONGEST_SECONDS = 6, 256, 1.0
"""Products of which the quickest tells a device's rate, the least width of their matrices, the time one may take."""


def choose(name: str = "auto") -> torch.device:
    """Choose a device, made exact: `auto` takes this machine's accelerator (CUDA, MPS or another), else the CPU.

    Raises UserError for one that this machine lacks.
    """
    accelerator = accelerator_kind()
    usable = ["cpu"] if accelerator is None else ["cpu", accelerator]
    if name not in (*DEVICES, *usable):
        raise unknown("device", name, DEVICES)
    make_exact()
    if name == "auto":
        return torch.device(usable[-1])
    if name not in usable:
        raise UserError(
            f"--device {name}: this machine has none, or PyTorch was built without it; usable here: "
            + ", ".join(usable)
        )
    return torch.device(name)


def make_exact() -> None:
    """Let float32 be float32 on CUDA, and let its libraries give the same bits in every run, as far as they can.

    For the whole process. Without it convolutions multiply float32 in TF32, with 10 bits of mantissa, and cuDNN takes
    whichever algorithm is quickest at that moment. Scaled dot-product attention's backward pass stays as it is.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto`: bfloat16 where the device computes in it natively, else float32. Raises UserError where it cannot."""
    if name == "auto":
        return "bfloat16" if native_bfloat16(device) else "float32"
    if name == "bfloat16" and not capabilities(device).bfloat16:
        raise UserError(
            f"setting compute.precision=bfloat16: not on this device ({device.type}); choose float32 or auto"
        )
    return name


def speaks() -> bool:
    """True if this process talks to the user: of several that do a run together, the main one."""
    return bool(PartialState().is_main_process)


def accelerator(device: torch.device) -> Accelerator:
    """Accelerator of this process alone, or of all that `accelerate launch` or torchrun has started together.

    Several take leave of each other before Python ends: a process that ends with threads that still speak to another
    is aborted now and then ("terminate called without an active exception", pytorch/pytorch#179291).
    """
    shared = Accelerator(cpu=capabilities(device).host_memory, mixed_precision="no")
    # A launcher may have set it in the environment, which accelerate lets win over its argument: losses would be
    # divided by it, while each batch is a step here.
    shared.gradient_accumulation_steps = 1
    if shared.num_processes > 1:
        atexit.unregister(_leave)
        atexit.register(_leave)
    return shared


def end(status: int) -> None:
    """End this process if it is one of several, with all written and nothing torn down; else do nothing.

    For a program's last line. To close the group (`_leave`) is not always enough: a thread of it that outlives it, and
    that Python's end meets, still aborts the process.
    """
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(status)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def peak_operations_per_second(precision: str, device: torch.device) -> float:
    """Floating-point operations a second of a square matrix product, the best of REPETITIONS: no training is faster.

    The matrices are as wide as the record of the device's kind says, or less where a product would take too long.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32

    def seconds(width: int) -> float:
        return _product_seconds(width, dtype, device)

    width = timely_width(capabilities(device).matrix_width, seconds)
    return float(2 * width**3 / min(seconds(width) for _ in range(REPETITIONS)))


def timely_width(widest: int, seconds: Callable[[int], float]) -> int:
    """The width, up to `widest`, at which a product takes no more than some LONGEST_SECONDS.

    A processor without a precision of its own for bfloat16 computes it a thousand times slower, and the widest product
    would take minutes. `seconds` measures a product of a width; the first of each is a warm-up.
    """
    width = min(widest, NARROWEST)
    seconds(width)
    while width < widest and 8 * seconds(width) <= LONGEST_SECONDS:
        width = min(widest, 2 * width)
    return width


def _product_seconds(width: int, dtype: torch.dtype, device: torch.device) -> float:
    a, b = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    synchronise(device)
    started = time.perf_counter()
    a @ b
    synchronise(device)
    return time.perf_counter() - started


@lru_cache
def measured_rate(device: str, precision: str) -> float:
    """Peak rate of this machine, measured on first use; `device` and `precision` may be `auto`. Raises UserError."""
    exact = choose(device)
    return peak_operations_per_second(resolve_precision(precision, exact), exact)
