"""The device on which tensors are: which one, and the ways to it and back that nobody waits for."""

import os

import torch
from torch import Tensor
from torch._inductor import config as inductor

from orchestrator.errors import SpecError


def choose_device(asked: str | None) -> str:
    """``cpu`` or ``cuda``: the one that is asked for, else a GPU if there is one.

    Raises:
        SpecError: it is not there.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise SpecError("There is no GPU here that torch can use; use --device cpu.")
    return asked or ("cuda" if torch.cuda.is_available() else "cpu")


def be_deterministic() -> None:
    """Have the same bits come of the same numbers on a GPU, too; to be called before it is used.

    PyTorch then refuses what it knows to be not deterministic. cuDNN's attention has a backward
    pass of that kind; cuBLAS needs a workspace of its own for each stream; and compiled kernels
    must not be chosen by timing them, which may choose others after a resume.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"  # for the processes that Inductor starts
    inductor.deterministic = True
    torch.use_deterministic_algorithms(mode=True)
    # Filling memory that is never read finds bugs, and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)


def brought(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on ``device``; to a GPU it is copied when its turn comes."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def held(tensor: Tensor) -> Tensor:
    """A copy on the host that later steps do not change; from a GPU it is there once the GPU is.

    Wait with `arrived` before it is read.
    """
    tensor = tensor.detach()
    if tensor.device.type != "cuda":
        return tensor.clone()
    copy = torch.empty_like(tensor, device="cpu", pin_memory=True)
    return copy.copy_(tensor, non_blocking=True)


def arrived(device: torch.device) -> torch.cuda.Event | None:
    """What to wait for (``synchronize``) until all copies that were begun are there; None: nothing.

    An event of the copies' own stream, so that what is queued after it is not waited for.
    """
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record()
    return event
