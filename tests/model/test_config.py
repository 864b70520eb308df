from dataclasses import replace
from typing import Any

import pytest
from support.arms import GATES, PAIRS, TINY

from model.config import GateConfig, ViTConfig
from model.variants import VARIANTS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position": "head"}, "gate.position is 'head'; allowed: sdpa, value, key, query, output"),
        ({"granularity": "x"}, "gate.granularity is 'x'; allowed: elementwise, headwise, head_sha"),
        ({"activation": "relu"}, "gate.activation is 'relu'; allowed: sigmoid, silu, ns_sigmoid"),
        ({"mode": "divide"}, "gate.mode is 'divide'; allowed: multiply, add"),
        ({"input": "image"}, "gate.input is 'image'; allowed: token, head_slice, none"),
        ({"init_std": -1.0}, "gate.init_std is -1.0; it must not be negative"),
        ({"bias": False, "bias_init": 1.0}, "gate.bias_init is 1.0, but gate.bias is false"),
        (
            {"position": "output", "granularity": "headwise"},
            "granularity is 'headwise'; no heads are left at gate.position output; allowed: elem",
        ),
        (
            {"input": "head_slice"},
            "'elementwise'; gate.input head_slice gives one value per head; allowed: headwise",
        ),
        ({"input": "none", "bias": False}, "gate.bias is False; the bias is all .*; allowed: True"),
        (
            {"input": "none", "init_std": 0.1},
            "gate.init_std is 0.1; gate.input none has no weights to draw; allowed: 0.02",
        ),
    ],
)
def test_a_gate_that_cannot_be_is_refused_with_what_is_allowed(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GateConfig(**settings)


def test_the_tables_of_gates_hold_all_that_is_allowed() -> None:
    # 4 positions x (3 granularities x token, none + head_slice), output x 2; 5 x 3 x 2, 5 in both
    assert len(GATES) == (4 * 7 + 2) + 30
    assert len(PAIRS) == 12 * 31 - 2 * 14


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "linear"}, "'linear'; allowed: softmax, .*, or package.row for a row"),
        ({"attention": "my.own.row"}, "package.row"),
        ({"attention": "mine."}, "package.row"),
        ({"attention": "1a.b"}, "package.row"),
        ({"clip_alpha": 2.0}, "clip_alpha is 2.0; attention softmax clips nothing; allowed: 1.0"),
        ({"attention": "clipped_softmax", "clip_alpha": 0.0}, "it must be above 0"),
        ({"attention": "differential", "dim": 36}, "dim / heads is 9; attention differential"),
        (
            {"attention": "uniform", "gate": GateConfig(position="key")},
            "gate.position is 'key'; attention uniform has neither queries nor keys; allowed: sdpa",
        ),
        ({"dim": 30}, "dim 30 is not a multiple of heads 4"),
        ({"mlp_ratio": -1.0}, "mlp_ratio is -1.0, which .* it must be at least 0.0312"),
        ({"mlp_ratio": 0.03}, "mlp_ratio is 0.03, .* no hidden channel at dim 32.* least 0.0312"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **settings)


def test_an_mlp_may_be_as_narrow_as_one_channel() -> None:
    assert replace(TINY, mlp_ratio=1 / 32).mlp_dim == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_allowed_and_its_own_settings_are_refused_elsewhere(variant: str) -> None:
    config = replace(TINY, attention=variant)

    assert config.attention == variant
    for own in VARIANTS[variant].settings:
        changed = {own: 1.25 * getattr(TINY, own)}
        assert getattr(replace(config, **changed), own) == changed[own]
        with pytest.raises(ValueError, match=f"{own} is"):
            replace(TINY, **changed)


def test_a_configuration_of_a_variant_of_ones_own_is_read_without_its_package() -> None:
    config = ViTConfig(attention="nowhere.shifted", gate=GateConfig(position="key"), clip_alpha=2.0)

    assert config.attention == "nowhere.shifted"
