"""What the settings of a training recipe refuse, and what the base sweeps say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.flops import count_params
from orchestrator.jobs.identity import reduced
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

Refused = Callable[..., list[str]]

BASE = Path(__file__).parents[2] / "sweeps" / "base"
HEAD = "name: a\nset:\n  data: {name: d}\n"
MIX = "train.mixup and train.cutmix"


def loaded(name: str) -> Sweep:
    return load_sweep(BASE / f"{name}.yaml", executors=("local",))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "  train: {loss: bce, label_smoothing: 0.1}",
            (
                "a.yaml:4: train.label_smoothing 0.1 with train.loss bce would make every class a "
                "positive one; use label_smoothing 0, or loss ce; train.loss at a.yaml:4, "
                "train.label_smoothing at a.yaml:4"
            ),
        ),
        (
            "  optim.name: lamb\n  optim.weight_decay: 0.0",
            (
                "a.yaml:5: optim.name lamb scales the steps of decayed parameters alone, so that "
                "at optim.weight_decay 0 it would be Adam; set a weight_decay above 0, or name "
                "adamw; optim.name at a.yaml:4, optim.weight_decay at a.yaml:5"
            ),
        ),
        (
            "  train.batch_size: 64\n  train.chunk: 32\n  train.repeats: 3",
            (
                "a.yaml:6: train.repeats 3 needs as many chunks, so that no chunk holds an image "
                "twice; train.batch_size 64 has 2 of train.chunk 32. Use repeats of at most 2, or "
                "a smaller chunk; train.batch_size at a.yaml:4, train.chunk at a.yaml:5, "
                "train.repeats at a.yaml:6"
            ),
        ),
        (
            "  train: {mixup: 0.8, chunk: 1}",
            (
                f"a.yaml:4: {MIX} mix the images of a chunk, and train.chunk is 1; use a chunk of "
                "at least 2; train.mixup at a.yaml:4, train.chunk at a.yaml:4"
            ),
        ),
        (
            "  train.mixup: 0.8\n  train.switch_prob: 0.3",
            (
                "a.yaml:5: train.switch_prob 0.3 chooses between train.mixup and train.cutmix, "
                "which are 0.8 and 0.0; set both above 0, or leave switch_prob at 0.5; train.mixup "
                "at a.yaml:4, train.switch_prob at a.yaml:5"
            ),
        ),
        (
            "  model.in_chans: 1\n  data.normalisation: imagenet",
            (
                "a.yaml:5: data.normalisation imagenet has means of 3 colours, but model.in_chans "
                "is 1; use normalisation half, or in_chans 3; model.in_chans at a.yaml:4, "
                "data.normalisation at a.yaml:5"
            ),
        ),
        ("  train.mixup: 3", "a.yaml:4: train.mixup is 3; it must be at most 2"),
        ("  train.ema_decay: 1", "a.yaml:4: train.ema_decay is 1; it must be below 1"),
        ("  train.repeats: 0", "a.yaml:4: train.repeats is 0; it must be at least 1"),
        ("  data.color_jitter: 1.5", "a.yaml:4: data.color_jitter is 1.5; it must be at most 1"),
        (
            "  data.normalisation: clip",
            'a.yaml:4: data.normalisation is "clip"; allowed: half, imagenet',
        ),
        ("  optim.schedule: day", 'a.yaml:4: optim.schedule is "day"; allowed: step, epoch'),
        ("  optim.name: sgd", 'a.yaml:4: optim.name is "sgd"; allowed: adamw, lamb'),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(
    refused: Refused, lines: str, message: str
) -> None:
    assert refused(HEAD + lines) == [message]


def test_the_base_is_the_recipe_of_deit_iii_for_vit_s() -> None:
    (point,) = loaded("imagenet100_deit3_small").points

    assert count_params(point.config.model) == 21_712_996
    assert point.config.train.chunks == 8
    assert reduced(point.config) == {
        "data.name": "imagenet100",
        "data.crop": "random_resized",
        "data.flip": True,
        "data.three_augment": True,
        "data.color_jitter": 0.3,
        "data.normalisation": "imagenet",
        "optim.name": "lamb",
        "optim.lr": 4e-3,
        "optim.schedule": "epoch",
        "train.epochs": 800,
        "train.batch_size": 2048,
        "train.chunk": 256,
        "train.tail": "drop",
        "train.repeats": 3,
        "train.mixup": 0.8,
        "train.cutmix": 1.0,
        "train.loss": "bce",
        "train.precision": "bf16",
    }


def test_the_digits_are_trained_by_the_same_recipe() -> None:
    (small,), (full,) = loaded("digits_deit3").points, loaded("imagenet100_deit3_small").points
    differing = {
        key
        for key, _ in reduced(small.config).items() ^ reduced(full.config).items()
        if not key.startswith("model.")
    }

    assert differing == {
        "data.name", "data.normalisation", "optim.warmup_epochs", "train.epochs",
        "train.batch_size", "train.chunk", "train.precision", "train.ema_decay",
        "evaluation.every_epochs", "probe.every_epochs", "probe.images",
    }  # fmt: skip
