"""How fast a step is: ours beside the loop of timm's train.py, on the same work.

    python benchmarks/step.py [--rounds 9] [--json FILE]

A model of one architecture, the same batch of noise, on the device as uint8; normalised, mixed by
mixup or CutMix, binary cross-entropy, backward, gradient clipped at 1, AdamW or LAMB. The peer is
written as timm's train.py runs: its model, Mixup, loss, optimiser and clipping, and the loss is
brought to the host at every step. Ours and the peer take some steps each in turn, ``--rounds``
times, after one that counts for nothing. On a CPU small sizes in float32; on a GPU ViT-S at 224
pixels in bf16, with ``torch.compile`` and without.

Last, what statistics cost at the study's cadence: one probe of 1000 images, and the norms of
gradients and updates of one step, over the steps of ten epochs of 129,792 images at the measured
speed. Probes are in float32, and told without the pictures that are drawn of them.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from resident import RATE, SMALL, VIT_S, alone, fresh, recipe, resident, take_steps

from model.config import ViTConfig
from model.flops import count_training_flops
from model.probes.base import Subject
from model.probes.suite import measure, summarise
from orchestrator.config import Placement, RunConfig
from orchestrator.worker.accounting import peak_flops
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.measure import PROBE_BATCH
from orchestrator.worker.pixels import constants, normalised
from orchestrator.worker.trainer import Trainer

TIMM: Any = timm
"""It is typed in parts only."""
PROBED, EPOCHS, EPOCH_IMAGES = 1000, 10, 129_792
Steps = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """What is trained, and how many steps a round has."""

    name: str
    model: ViTConfig
    batch: int
    optimizer: str
    steps: int
    compile: bool = False


CPU = (
    Case("depth 4, 192 wide, 64 px", SMALL, 64, "adamw", 4),
    Case("depth 4, 192 wide, 64 px", SMALL, 64, "lamb", 4),
    Case("ViT-S/16, 224 px", VIT_S, 8, "lamb", 1),
)
GPU = tuple(
    Case("ViT-S/16, 224 px", VIT_S, batch, "lamb", 20, compiled)
    for batch in (256, 512, 1024)
    for compiled in (False, True)
)


def main() -> None:
    asked = _arguments()
    device = alone().device
    rows = [_row(case, asked.rounds) for case in (GPU if device.type == "cuda" else CPU)]
    told = {
        "conditions": {
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "timm": timm.__version__,
            "rounds": asked.rounds,
        },
        "rows": rows,
    }
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1))
    _print(rows)


def _row(case: Case, rounds: int) -> dict[str, Any]:
    torch.compiler.reset()
    config = recipe(case.model, case.batch, name=case.optimizer)
    trainer = fresh(config, compile=case.compile)
    portion = resident(config, trainer.ranks)
    loops: dict[str, Steps] = {
        "ours": lambda count: take_steps(trainer, portion, count),
        "timm": timms_loop(config, portion, compiled=case.compile),
    }
    seconds = _rounds(loops, case.steps, rounds)
    speed = {name: case.batch / np.array(each) for name, each in seconds.items()}
    flops, peak = count_training_flops(config.model), peak_flops(trainer.ranks.device, Placement())
    return {
        "case": case.name,
        "batch": case.batch,
        "optimizer": case.optimizer,
        "compiled": case.compile,
        "images_per_s": {name: _quartiles(each) for name, each in speed.items()},
        "to_timm": _quartiles(speed["ours"] / speed["timm"]),
        "mfu": peak and float(np.median(speed["ours"])) * flops / peak,
        "statistics": _statistics(trainer, portion, 1 / float(np.median(speed["ours"]))),
    }


def timms_loop(config: RunConfig, portion: Portion, *, compiled: bool) -> Steps:
    """The inner part of train_one_epoch of timm's train.py, its prefetcher's part included."""
    model, device = config.model, portion.images.device
    net = TIMM.models.vision_transformer.VisionTransformer(
        img_size=model.img_size,
        patch_size=model.patch_size,
        num_classes=model.num_classes,
        embed_dim=model.dim,
        depth=model.depth,
        num_heads=model.heads,
        init_values=model.layer_scale,
        no_embed_class=True,
    ).to(device)
    for block in net.blocks:  # at one rate in all blocks, as DeiT III has it; timm's option rises
        block.drop_path1, block.drop_path2 = (
            TIMM.layers.DropPath(model.drop_path),
            TIMM.layers.DropPath(model.drop_path),
        )
    own = {"max_grad_norm": None} if config.optim.name == "lamb" else {}
    optimizer = TIMM.optim.create_optimizer_v2(
        net, opt=config.optim.name, lr=RATE, weight_decay=config.optim.weight_decay, **own
    )
    task = torch.compile(net) if compiled else net
    mixup = TIMM.data.Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.0, num_classes=100)
    loss_fn = TIMM.loss.BinaryCrossEntropy(smoothing=0.0, target_threshold=0.0)
    mean, std = (255 * one for one in constants("imagenet", device))
    losses, bf16 = TIMM.utils.AverageMeter(), config.train.precision == "bf16"

    def run(count: int) -> None:
        net.train()
        for _ in range(count):
            images = portion.images.float().sub_(mean).div_(std)
            images, targets = mixup(images, portion.labels)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = loss_fn(task(images), targets)
            loss.backward()
            TIMM.utils.dispatch_clip_grad(net.parameters(), config.optim.clip_norm, mode="norm")
            optimizer.step()
            optimizer.zero_grad()
            losses.update(loss.item(), len(images))

    return run


def _rounds(loops: Mapping[str, Steps], steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a step, each loop in turn; the first round warms up and is forgotten."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(-1, rounds):
        for name, run in loops.items():
            took = _timed(partial(run, steps)) / steps
            if turn >= 0:
                seconds[name].append(took)
    return seconds


def _timed(act: Callable[[], object]) -> float:
    _wait()
    began = time.perf_counter()
    act()
    _wait()
    return time.perf_counter() - began


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _statistics(trainer: Trainer, portion: Portion, per_image: float) -> dict[str, float]:
    """Seconds of a probe and of a step's norms, and their share in ten epochs."""
    plain: list[float] = []
    watched: list[float] = []
    for step in range(trainer.step, trainer.step + 6):
        one, on = replace(portion, step=step), step % 2 == 1
        took = _timed(partial(trainer.take, one, RATE, watched=on))
        (watched if on else plain).append(took)
    trainer.read()
    norms = max(0.0, float(np.median(watched) - np.median(plain)))
    images = normalised(portion.images[:PROBE_BATCH], "imagenet")
    with trainer.looked_at():
        measured = measure(trainer.model, images)
        passes = _timed(lambda: measure(trainer.model, images)) * PROBED / len(images)
    times = -(-PROBED // len(images))
    joined = {name: np.concatenate([v.numpy()] * times)[:PROBED] for name, v in measured.items()}
    summing = _timed(lambda: summarise(joined, Subject.of(trainer.model, images)))
    probe = passes + summing
    return {
        "norms_s": norms,
        "probe_s": probe,
        "summarise_s": summing,
        "share": (norms + probe) / (EPOCHS * EPOCH_IMAGES * per_image),
    }


def _quartiles(values: Any) -> list[float]:
    return [round(q, 3) for q in np.quantile(values, [0.25, 0.5, 0.75]).tolist()]


def _print(rows: list[dict[str, Any]]) -> None:
    print("| model | batch | optimiser | compiled | ours, images/s | timm's | ratio | quartiles |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        low, ratio, high = row["to_timm"]
        ours, theirs = (row["images_per_s"][name][1] for name in ("ours", "timm"))
        words = ("yes" if row["compiled"] else "no", f"{ours:,.0f}", f"{theirs:,.0f}")
        about = (row["case"], str(row["batch"]), row["optimizer"])
        print("|", " | ".join([*about, *words, f"{ratio:.2f}", f"{low:.2f}-{high:.2f}"]), "|")
    print("\n| model | batch | norms of a step, s | probe, s | share of ten epochs | MFU |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        found = row["statistics"]
        mfu = f"{100 * row['mfu']:.0f} %" if row["mfu"] else "-"
        costs = (f"{found['norms_s']:.3f}", f"{found['probe_s']:.1f}", f"{found['share']:.3%}")
        print("|", " | ".join([row["case"], str(row["batch"]), *costs, mfu]), "|")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write everything here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
