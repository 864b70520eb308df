"""What it costs that a model can be looked into: ours beside timm's own, which cannot.

    python benchmarks/recording.py [--depth 12] [--batch 4] [--repeats 7] [--compile]

Three models of one architecture, DeiT III's ViT-S/16 at 224 pixels, take turns on the same batch:
timm's; ours; and ours after it was recorded once. Then a forward pass inside a recording of
everything, and all probes. Prints JSON: seconds of a forward and of a forward and backward pass
per image, and ratios to timm's of the same round, median and quartiles.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from model.config import ViTConfig
from model.pretrained import load_pretrained
from model.probes.suite import measure
from model.record import record
from model.vit import build_vit

PLACES = ("embedding", "inside", "mlp", "blocks", "final")
PEER = "timm"


def main() -> None:
    asked = _arguments()
    images = torch.randn(asked.batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    models = _models(asked.depth, images)
    passes: dict[str, Callable[[], object]] = {}
    for name, model in models.items():
        run: nn.Module = torch.compile(model, fullgraph=True) if asked.compile else model  # type: ignore[assignment]
        passes[f"forward: {name}"] = _forward(run, images)
        passes[f"training: {name}"] = _training(run, images)
    passes["forward: everything recorded"] = lambda: _recorded(models["ours"], images)
    passes["forward: all probes"] = lambda: measure(models["ours"], images)
    told = _told(_rounds(passes, asked.repeats), asked.batch)
    conditions = {"threads": torch.get_num_threads(), "torch": torch.__version__, **vars(asked)}
    print(json.dumps({"conditions": conditions, "passes": told}, indent=1))


def _models(depth: int, images: Tensor) -> dict[str, VisionTransformer]:
    peer = timm.create_model("deit3_small_patch16_224", depth=depth, num_classes=100)
    config = ViTConfig(depth=depth, drop_path=0.0)
    models: dict[str, VisionTransformer] = {PEER: cast("VisionTransformer", peer)}
    for name in ("ours", "ours, recorded once"):
        model = build_vit(config)
        load_pretrained(model, peer.state_dict())
        models[name] = model.eval()
    _recorded(models["ours, recorded once"], images)
    return models


def _forward(model: nn.Module, images: Tensor) -> Callable[[], object]:
    def act() -> None:
        with torch.no_grad():
            model(images)

    return act


def _training(model: nn.Module, images: Tensor) -> Callable[[], object]:
    def act() -> None:
        model.zero_grad(set_to_none=True)
        model(images).square().sum().backward()

    return act


def _recorded(model: VisionTransformer, images: Tensor) -> None:
    with torch.no_grad(), record(model, PLACES):
        model(images)


def _rounds(passes: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each pass, all in turn; the first round warms up and is forgotten."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(-1, repeats):
        for name, act in passes.items():
            began = time.perf_counter()
            act()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _told(seconds: Mapping[str, list[float]], batch: int) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, own in seconds.items():
        peer = seconds[f"{name.partition(':')[0]}: {PEER}"]
        ratios = [one / other for one, other in zip(own, peer, strict=True)]
        low, middle, high = (round(q, 3) for q in np.quantile(ratios, [0.25, 0.5, 0.75]).tolist())
        per_image = round(float(np.median(own)) / batch, 4)
        told[name] = {"s_per_image": per_image, "to_timm": [low, middle, high]}
    return told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="all models, as one graph each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
