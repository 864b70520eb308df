"""A cache of timm's hub with weights of our own making, as a machine has that was online once."""

from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

NAME = "test_vit.r160_in1k"
"""The smallest of timm's vision transformers: 0.4 million parameters, images of 160 pixels."""
REVISION = "0" * 40


def fill_cache(home: Path, name: str = NAME) -> Any:
    """Random weights as if timm's hub had them, below ``home`` as ``$HF_HOME``; the model."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = timm.create_model(name)
    folder = home / "hub" / f"models--timm--{name}"
    for path in (folder / "refs", folder / "snapshots" / REVISION):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    save_file(model.state_dict(), folder / "snapshots" / REVISION / "model.safetensors")
    return model
