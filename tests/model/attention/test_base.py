"""What holds for every variant with every gate."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.arms import PAIRS, TINY
from torch import Tensor

from model.attention.base import Inside, join, scores, split
from model.config import ViTConfig
from model.variants import VARIANTS

Layer = Callable[[ViTConfig], Any]

every_variant = pytest.mark.parametrize("variant", VARIANTS)


def _rest(inside: Inside) -> Tensor:
    """The weight that a row leaves to a key that is no token."""
    return 1 - inside.weights.sum(dim=-1, keepdim=True)


# what a variant makes of weights @ values, where it is more than that
FINISH: Mapping[str, Callable[[Any, Inside, Tensor], Tensor]] = {
    "extra_key_value": lambda a, inside, y: y + _rest(inside) * a.extra_value[:, None],
    "value_bias": lambda a, inside, y: y + a.extra_value[:, None],
    "head_rms_norm": lambda a, inside, y: a.norm(y),
    "differential": lambda a, inside, y: (1 - a.lambda_init) * a.sub_norm(y),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_look_inside_shows_what_the_fast_path_computes(
    layer: Layer, x: Tensor, name: str
) -> None:
    config = PAIRS[name]
    attention = layer(config)
    inside = attention.inside(x)

    mixed = inside.weights @ inside.values
    if finish := FINISH.get(config.attention):
        mixed = finish(attention, inside, mixed)
    if config.gate and config.gate.position == "sdpa":
        mixed = mixed * inside.gate
    torch.testing.assert_close(mixed, inside.mixed)

    out = attention.proj(join(mixed))
    if config.gate and config.gate.position == "output":
        assert inside.gate is not None
        out = join(split(out, 4) * inside.gate)
    torch.testing.assert_close(attention(x), out)


@pytest.mark.parametrize("name", PAIRS)
def test_everything_inside_has_the_shape_that_is_promised(
    layer: Layer, x: Tensor, name: str
) -> None:
    config = PAIRS[name]
    inside = layer(config).inside(x)

    assert inside.weights.shape == (2, 4, 17, 17)
    assert inside.values.shape == inside.mixed.shape == (2, 4, 17, 8)
    assert inside.logits is None or inside.logits.shape == (2, 4, 17, 17)
    if config.gate is None:
        assert inside.gate is None
    else:
        assert inside.gate is not None
        rows, columns = config.gate.shape(4, 8)
        assert inside.gate.shape == (2, rows, 17, columns)


@every_variant
def test_the_table_says_which_rows_sum_to_one_and_which_weights_are_signed(
    layer: Layer, x: Tensor, variant: str
) -> None:
    weights = layer(replace(TINY, attention=variant)).inside(x).weights

    assert ((weights.sum(dim=-1) - 1).abs() < 1e-5).all() == VARIANTS[variant].rows_sum_to_one
    assert (weights < 0).any() == VARIANTS[variant].signed


@every_variant
def test_logits_are_scaled_scores_where_there_are_queries_and_keys(
    layer: Layer, x: Tensor, variant: str
) -> None:
    attention = layer(replace(TINY, attention=variant))
    logits = attention.inside(x).logits

    if not VARIANTS[variant].scored or variant == "differential":
        assert (logits is None) == (variant != "static_random")
    else:
        q, k, _ = attention.project(x)
        torch.testing.assert_close(logits, (q @ k.mT) / 8**0.5)
        torch.testing.assert_close(scores(q, k), logits)


@every_variant
def test_probes_still_get_weights_alone(layer: Layer, x: Tensor, variant: str) -> None:
    attention = layer(replace(TINY, attention=variant))

    assert torch.equal(attention.weights(x), attention.inside(x).weights)


@pytest.mark.parametrize("position", ["query", "key"])
def test_a_shut_gate_on_queries_or_keys_makes_attention_uniform(
    layer: Layer, x: Tensor, position: Any
) -> None:
    config = PAIRS[f"softmax+{position}-elementwise-token"]
    attention = layer(config)
    attention.gate.weight.zero_()
    attention.gate.bias.fill_(-60.0)

    torch.testing.assert_close(attention.inside(x).weights, torch.full((2, 4, 17, 17), 1 / 17))
