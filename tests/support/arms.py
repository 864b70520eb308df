"""Small architectures of every kind: all attention variants, all gates, with and without registers.

Tables of configurations, free of torch.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, get_args

from model.config import (
    GateActivation,
    GateConfig,
    GateGranularity,
    GateInput,
    GateMode,
    GatePosition,
    ViTConfig,
)
from model.variants import VARIANTS

TINY = ViTConfig(
    img_size=32, patch_size=8, num_classes=5, dim=32, depth=2, heads=4, layer_scale=None
)
"""17 tokens of 32 channels in 2 blocks; no LayerScale, which would hide what the blocks do."""


def _allowed(**choices: Any) -> Iterator[dict[str, Any]]:
    """Those combinations of a gate's settings that are not refused."""
    for values in product(*choices.values()):
        settings = dict(zip(choices, values, strict=True))
        try:
            GateConfig(**settings)
        except ValueError:
            continue
        yield settings


def _name(settings: dict[str, Any]) -> str:
    return "-".join(map(str, settings.values()))


PLACED = {
    _name(settings): GateConfig(**settings)
    for settings in _allowed(
        position=get_args(GatePosition),
        granularity=get_args(GateGranularity),
        input=get_args(GateInput),
    )
}
"""Every gate by where it stands, how fine it is and what it reads."""
ACTING = {
    _name(settings): GateConfig(**settings)
    for settings in _allowed(
        position=get_args(GatePosition),
        activation=get_args(GateActivation),
        mode=get_args(GateMode),
    )
}
"""Every elementwise gate by where it stands and how it acts."""
GATES = PLACED | ACTING


def fits(variant: str, gate: GateConfig | None) -> bool:
    scored = gate is None or gate.position not in ("query", "key")
    return VARIANTS[variant].scored or scored


PAIRS = {
    f"{variant}+{name}": replace(TINY, attention=variant, gate=gate)
    for variant, (name, gate) in product(VARIANTS, {"none": None, **PLACED}.items())
    if fits(variant, gate)
}
"""Every variant with every gate of `PLACED`, and with none."""
ARMS = {
    "registers": replace(TINY, registers=3),
    **{variant: replace(TINY, attention=variant, registers=1) for variant in VARIANTS},
    **{name: replace(TINY, gate=gate) for name, gate in GATES.items()},
}
"""Every variant and every gate once."""
