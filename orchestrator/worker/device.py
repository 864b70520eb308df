"""The device on which a verb measures."""

import torch

from orchestrator.errors import SpecError


def choose_device(asked: str | None) -> str:
    """``cpu`` or ``cuda``: the one that is asked for, else a GPU if there is one.

    Raises:
        SpecError: it is not there.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise SpecError("There is no GPU here that torch can use; use --device cpu.")
    return asked or ("cuda" if torch.cuda.is_available() else "cpu")
