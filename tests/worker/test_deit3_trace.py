"""Twelve steps of the official DeiT III code, taken again by our model, loss, clip and optimiser.

``traces/deit3.npz`` holds numbers alone: of DeiT's ``models_v2`` with LayerScale blocks and without
drop path, under timm's LAMB that clips the global gradient norm at 1, in float32 on one thread, its
weights before and after, images, targets after mixing, losses, and norms before clipping.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.pretrained import load_pretrained
from model.vit import build_vit
from orchestrator.config import Placement, RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.losses import summed_loss
from orchestrator.worker.optim import build_optimizer
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

Trace = Mapping[str, NDArray[Any]]

TRACE = Path(__file__).parent / "traces" / "deit3.npz"


@pytest.fixture(scope="module")
def trace() -> Trace:
    with np.load(TRACE) as file:
        return dict(file)


def told(trace: Trace) -> dict[str, Any]:
    return json.loads(bytes(trace["meta"]))


def weights(trace: Trace, when: str) -> dict[str, Tensor]:
    """Weights of the trace, ``init`` or ``final``, by the names they have here."""
    theirs = {
        name.removeprefix(f"{when}/"): torch.from_numpy(value)
        for name, value in trace.items()
        if name.startswith(f"{when}/")
    }
    model = build_vit(config_of(told(trace)).model)
    load_pretrained(model, theirs)
    return model.state_dict()


def config_of(meta: Mapping[str, Any], **optim: Any) -> RunConfig:
    sizes = {key: meta[key] for key in ("dim", "depth", "heads", "img_size", "patch_size")}
    fixed = {"name": "lamb", "lr": meta["lr"], "eps": meta["eps"], "clip_norm": meta["clip"]}
    model = {"num_classes": meta["num_classes"], "layer_scale": meta["layer_scale"]}
    return RunConfig.from_plain(
        {
            "data": {"name": "trace"},
            "model": {**sizes, **model, "drop_path": 0.0},
            "optim": {**fixed, "weight_decay": meta["weight_decay"], **optim},
            "train": {"loss": "bce"},
        }
    )


def taken(trace: Trace, config: RunConfig) -> tuple[Trainer, NDArray[Any]]:
    """The trainer after the trace's steps; their losses and gradient norms, ``(steps, 2)``."""
    trainer = Trainer.fresh(config, Ranks(0, 1, torch.device("cpu")), Placement())
    trainer.model.load_state_dict(weights(trace, "init"))
    found = []
    for images, targets in zip(trace["images"], trace["targets"], strict=True):
        count = len(images)
        logits = trainer.model(torch.from_numpy(images))
        loss = summed_loss(logits, torch.from_numpy(targets), config.train)
        torch.autograd.backward(loss / count)
        nothing = torch.zeros(count, dtype=torch.int64)
        step = Portion(0, 0, nothing, nothing, (), count, stand_in=False)
        trainer.descend(step, loss.detach().double(), config.optim.lr)
        trainer.read()
        told = trainer.course.end_window()
        found.append((told["train/loss"], told["train/grad_norm"]))
    return trainer, np.array(found)


def astray(trace: Trace, trainer: Trainer) -> float:
    """How far weights are from those of the trace, over how far it moved them; the worst tensor."""
    begun, ended, ours = weights(trace, "init"), weights(trace, "final"), trainer.model.state_dict()
    ratios = [(ours[n] - ended[n]).norm() / (ended[n] - begun[n]).norm() for n in ended]
    return torch.stack(ratios).max().item()


def test_our_recipe_takes_the_steps_of_deit_iii(trace: Trace) -> None:
    """Measured: losses and norms to 1e-7, weights to 2e-6 of their way."""
    trainer, found = taken(trace, config_of(told(trace)))

    assert (trace["grad_norms"][:3] > 1).all()  # so that clipping is seen
    assert found[:, 0] == pytest.approx(trace["losses"], abs=1e-6)
    assert found[:, 1] == pytest.approx(trace["grad_norms"], rel=1e-5)
    assert astray(trace, trainer) < 1e-4


@pytest.mark.parametrize(
    ("departure", "at_least"),
    [({"eps": 1e-6}, 0.5), ({"clip_norm": None}, 0.02), ({"weight_decay": 0.02}, 0.003)],
)
def test_the_trace_tells_one_setting_from_another(
    trace: Trace, departure: dict[str, Any], at_least: float
) -> None:
    trainer, _ = taken(trace, config_of(told(trace), **departure))

    assert astray(trace, trainer) > at_least


def test_what_deit_iii_does_not_decay_is_what_we_do_not(trace: Trace) -> None:
    config = config_of(told(trace))
    model = build_vit(config.model)
    _, bare = build_optimizer(model, config.optim).param_groups
    spared = {id(parameter) for parameter in bare["params"]}

    ours = {name for name, parameter in model.named_parameters() if id(parameter) in spared}
    theirs = {re.sub(r"gamma_(\d)", r"ls\1.gamma", name) for name in told(trace)["no_decay"]}
    assert ours == theirs
