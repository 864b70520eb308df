"""A job's id: a hash of what decides its result, stable while defaults change.

The hash covers the validated configuration minus ``FROZEN_DEFAULTS``. That table is not today's
defaults: when a default changes, its line stays, so the new value is no longer left out and no
old id gets a new behaviour. A new setting enters with the value that reproduces the behaviour
before it existed, so unchanged configurations keep their ids. The table is append-only.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.config import JobConfig, config_from_plain

IDENTITY_VERSION = 1

# Never edit a line; append. `model.gate.position` has no line: its presence says there is a gate.
FROZEN_DEFAULTS: Mapping[str, Any] = {
    "task": "train",
    "model.img_size": 224,
    "model.patch_size": 16,
    "model.in_chans": 3,
    "model.num_classes": 100,
    "model.dim": 384,
    "model.depth": 12,
    "model.heads": 6,
    "model.mlp_ratio": 4.0,
    "model.registers": 0,
    "model.attention": "softmax",
    "model.gate": None,
    "model.gate.bias": True,
    "model.gate.init_std": 0.02,
    "model.gate.bias_init": 0.0,
    "model.layer_scale": 1e-4,
    "model.drop_path": 0.05,
    "data.crop": "center",
    "data.flip": False,
    "data.shift": 0,
    "optim.name": "adamw",
    "optim.lr": 1e-3,
    "optim.weight_decay": 0.05,
    "optim.beta1": 0.9,
    "optim.beta2": 0.999,
    "optim.eps": 1e-8,
    "optim.warmup_epochs": 5.0,
    "optim.warmup_lr": 1e-6,
    "optim.min_lr": 1e-5,
    "optim.clip_norm": 1.0,
    "train.epochs": 100,
    "train.batch_size": 256,
    "train.chunk": None,
    "train.tail": "keep",
    "train.data_seed": None,
    "train.loss": "ce",
    "train.label_smoothing": 0.0,
    "train.precision": "fp32",
    "probe.every_epochs": 10,
    "probe.images": 1000,
    "evaluation.every_epochs": 1,
    "seed": 0,
    "model.gate.granularity": "elementwise",
    "model.gate.activation": "sigmoid",
    "model.gate.mode": "multiply",
    "model.gate.input": "token",
    "model.clip_alpha": 1.0,
    "data.three_augment": False,
    "data.color_jitter": 0.0,
    "data.normalisation": "half",
    "optim.schedule": "step",
    "train.repeats": 1,
    "train.mixup": 0.0,
    "train.cutmix": 0.0,
    "train.switch_prob": 0.5,
    "train.ema_decay": None,
    "data.corrupt": "fail",
    "data.max_corrupt": 10,
    "data.decoded_px": None,
}
FROZEN_OF_EVALUATIONS: Mapping[str, Any] = {
    "checkpoint": "last",
}
"""As the table above, of jobs that evaluate; their task is always told."""
FROZEN_OF_ANALYSES: Mapping[str, Any] = {
    "checkpoint": "last",
    "analysis.name": "probes",
    "analysis.images": None,
}
"""The same, of jobs that analyse."""
_FROZEN = {
    "train": FROZEN_DEFAULTS,
    "evaluate": FROZEN_OF_EVALUATIONS,
    "analyze": FROZEN_OF_ANALYSES,
}


def frozen_for(reduced_form: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table for a job's task; one of a task that is not known has the one of training."""
    return _FROZEN.get(reduced_form.get("task", "train"), FROZEN_DEFAULTS)


def job_id(config: JobConfig) -> str:
    """128 bits, as 32 hex digits, of the reduced configuration in canonical JSON."""
    return stands_for(reduced(config))


def stands_for(reduced_form: Mapping[str, Any], version: int = IDENTITY_VERSION) -> str:
    """The id that a reduced form has.

    Raises:
        ValueError, TypeError: it holds what no configuration does.
    """
    canonical = json.dumps(
        [version, reduced_form], sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def reduced(config: JobConfig) -> dict[str, Any]:
    """The configuration as dotted keys, without those at their frozen default."""
    frozen = _FROZEN[config.task]
    return {
        key: value
        for key, value in flatten(config.to_plain())
        if not (key in frozen and _same(value, frozen[key]))
    }


def restored(reduced_form: Mapping[str, Any]) -> JobConfig:
    """The configuration of a reduced form, filled from the frozen table, never from defaults.

    Raises:
        pydantic.ValidationError: the form holds a setting this program does not know.
    """
    return config_from_plain(nested(completed(reduced_form)))


def completed(reduced_form: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a reduced form by their dotted keys, those left out at the frozen default."""
    gated = "model.gate.position" in reduced_form
    return {
        key: value
        for key, value in {**frozen_for(reduced_form), **reduced_form}.items()
        if not (key == "model.gate" if gated else key.startswith("model.gate."))
    }


def flatten(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    for key, value in plain.items():
        if isinstance(value, dict):  # quicker told than a Mapping; JSON has no other
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``flatten``."""
    plain: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, leaf = key.split(".")
        section = plain
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return plain


def _same(value: Any, frozen: Any) -> bool:
    return type(value) is type(frozen) and value == frozen
