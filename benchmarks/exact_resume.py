"""Whether a resumed run is the same bit by bit, and whether steps wait for the device.

    python benchmarks/exact_resume.py [--steps 20] [--compile] [--near]

Trains ViT-S with LAMB, bf16, mixup, CutMix and an average of weights on one GPU (a small ViT in
float32 where there is none), deterministically unless ``--near``: once through, and once stopped in
the middle and resumed by another process from what was saved. Each part is a process of its own, so
that nothing but the file is left of the one before. Compares the losses of all steps and every bit
of the last state; exits 1 where they differ.

On a GPU the second half of each part's steps runs under
``torch.cuda.set_sync_debug_mode("error")``, which fails where the host waits for the device; what
steps told is read between them, every ten.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from resident import RATE, SMALL, VIT_S, fresh, recipe, resident

from orchestrator.worker.device import be_deterministic

READ_EVERY = 10


def main() -> None:
    asked = _arguments()
    if asked.part:
        first, after = asked.part
        _train(range(first, after), asked, asked.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        whole, parts = Path(name) / "whole", Path(name) / "parts"
        half = asked.steps // 2
        _start(whole, 0, asked.steps, asked)
        _start(parts, 0, half, asked)
        _start(parts, half, asked.steps, asked)
        losses = [(one / "losses.txt").read_text().split() for one in (whole, parts)]
        states = [torch.load(one / "state.pt", weights_only=True) for one in (whole, parts)]
    apart = [step for step, (one, other) in enumerate(zip(*losses, strict=True)) if one != other]
    same = _flat(states[0]) == _flat(states[1])
    told = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "deterministic": not asked.near,
        "compiled": asked.compile,
        "steps": asked.steps,
        "resumed_at": half,
        "first_loss_that_differs": apart[0] if apart else None,
        "states_are_equal": same,
        "steps_wait_for_the_device": False if torch.cuda.is_available() else None,
    }
    print(json.dumps(told, indent=1))
    sys.exit(bool(apart) or not same)


def _start(folder: Path, first: int, after: int, asked: argparse.Namespace) -> None:
    folder.mkdir(exist_ok=True)
    flags = [f"--{name}" for name in ("compile", "near") if getattr(asked, name)]
    words = ["--part", str(first), str(after), "--folder", str(folder), *flags]
    subprocess.run([sys.executable, __file__, *words], check=True)


def _train(steps: range, asked: argparse.Namespace, folder: Path) -> None:
    if not asked.near:
        be_deterministic()
    gpu = torch.cuda.is_available()
    config = recipe(VIT_S if gpu else SMALL, 256 if gpu else 32, name="lamb")
    train = config.train.model_copy(update={"ema_decay": 0.99})
    config = config.model_copy(update={"train": train})
    trainer = fresh(config, compile=asked.compile, deterministic=not asked.near)
    portion = resident(config, trainer.ranks)
    if steps.start:
        trainer.resume(torch.load(folder / "state.pt", weights_only=True))
    for step in steps:
        warm = step >= steps.start + len(steps) // 2  # what is made once is made by then
        with _never_waiting() if gpu and warm else nullcontext():
            trainer.take(replace(portion, step=step), RATE)
        if trainer.step % READ_EVERY == 0 or trainer.step == steps.stop:
            trainer.read()
    torch.save(trainer.state(), folder / "state.pt")
    with (folder / "losses.txt").open("a") as file:
        file.writelines(f"{loss!r}\n" for loss in trainer.course.recent[-len(steps) :])


@contextmanager
def _never_waiting() -> Iterator[None]:
    """An error where the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _flat(value: Any) -> list[Any]:
    """What a state holds, tensors as their bytes."""
    if isinstance(value, dict):
        return [one for key in sorted(value, key=str) for one in (key, *_flat(value[key]))]
    if isinstance(value, list | tuple):
        return [one for item in value for one in _flat(item)]
    return [value.cpu().numpy().tobytes() if isinstance(value, torch.Tensor) else value]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--near", action="store_true", help="without determinism")
    parser.add_argument("--part", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
