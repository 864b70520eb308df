"""How long a checkpoint holds the training loop: ours beside torch.save, and none.

    python benchmarks/checkpoints.py [--steps 100] [--batch 16] [--rounds 5] [--folder DIR]

One and the same trainer (weights, AdamW, average of weights) takes so many steps and then saves
its state, each way in turn, after a round that counts for nothing. Ours copies the state while the
loop waits, and writes, hashes and publishes it behind the next steps. The peer is ``torch.save`` of
the same state into the same folder, which the loop waits for, without a hash and without renaming.
*Held* is how long the call kept the loop, as a share of the steps' time; *slower* is how the steps
after it compare with those of the same round after which nothing was written.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resident import SMALL, VIT_S, alone, fresh, recipe, resident, take_steps

from orchestrator.jobs.layout import JobFolder
from orchestrator.worker.scribe import Scribe
from orchestrator.worker.trainer import Trainer

Save = Callable[[], None]


def main() -> None:
    asked = _arguments()
    gpu = torch.cuda.is_available()
    config = recipe(VIT_S if gpu else SMALL, asked.batch)
    config = config.model_copy(
        update={"train": config.train.model_copy(update={"ema_decay": 0.999})}
    )
    trainer = fresh(config)
    portion = resident(config, alone())
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        job = JobFolder(Path(folder) / "job")
        job.attempt(1).path.mkdir(parents=True)
        device = trainer.ranks.device
        with Scribe.open(job, job.attempt(1), device, from_step=None, steps=1) as scribe:
            ways: dict[str, Save] = {
                "none": lambda: None,
                "ours": lambda: scribe.checkpoint(trainer.step, trainer.state()),
                "torch.save": lambda: torch.save(trainer.state(), Path(folder) / "peer.pt"),
            }
            seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for turn in range(-1, asked.rounds):
                for name, save in ways.items():
                    held = _timed(save)
                    took = _timed(lambda: take_steps(trainer, portion, asked.steps))
                    scribe.wait()
                    if turn >= 0:
                        seconds[name].append((held, took))
    rows = [_row(name, each, seconds["none"]) for name, each in seconds.items()]
    conditions = _conditions(asked, trainer)
    if asked.json:
        asked.json.write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1))
    _print(conditions, rows)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    if torch.cuda.is_available():
        torch.cuda.current_stream().synchronize()
    return time.perf_counter() - began


def _row(
    name: str, seconds: list[tuple[float, float]], without: list[tuple[float, float]]
) -> dict[str, Any]:
    shares = [held / took for held, took in seconds]
    slower = [one / other for (_, one), (_, other) in zip(seconds, without, strict=True)]
    return {
        "way": name,
        "held_ms": 1e3 * float(np.median([held for held, _ in seconds])),
        "held_share": np.quantile(shares, [0.25, 0.5, 0.75]).tolist(),
        "slower": np.quantile(slower, [0.25, 0.5, 0.75]).tolist(),
    }


def _conditions(asked: argparse.Namespace, trainer: Trainer) -> dict[str, Any]:
    state = [*trainer.weights().values()] * (4 if trainer.average else 3)
    return {
        "steps": asked.steps,
        "batch": asked.batch,
        "state_mb": round(sum(one.numel() * one.element_size() for one in state) / 1e6),
        "device": trainer.ranks.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _print(conditions: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    print(json.dumps(conditions))
    print("| way | held, ms | share of the steps | quartiles | steps after, to none | quartiles |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        (low, share, high), (fast, slower, slow) = row["held_share"], row["slower"]
        print(
            f"| {row['way']} | {row['held_ms']:.1f} | {share:.3%} | {low:.3%}-{high:.3%} "
            f"| {slower:.3f} | {fast:.3f}-{slow:.3f} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=256 if torch.cuda.is_available() else 16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where checkpoints are written")
    parser.add_argument("--json", type=Path, help="also write everything here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
