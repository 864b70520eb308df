import math
from dataclasses import replace

import pytest
import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit

STATIC = replace(TINY, attention="static_random")


def test_weights_depend_on_no_input(x: Tensor) -> None:
    attention = build_vit(STATIC).blocks[0].attn

    assert torch.equal(attention.weights(x)[0], attention.weights(-x)[1])


def test_the_pattern_is_the_seeds_and_differs_between_blocks_and_heads() -> None:
    one, again, other = (build_vit(STATIC, seed=seed).blocks for seed in (0, 0, 1))

    patterns = [blocks[0].attn.static_logits for blocks in (one, again, other)]

    assert torch.equal(patterns[0], patterns[1])
    assert not torch.equal(patterns[0], patterns[2])
    assert not torch.equal(patterns[0], one[1].attn.static_logits)
    assert not torch.equal(patterns[0][0], patterns[0][1])


def test_it_is_never_trained(images: Tensor) -> None:
    model = build_vit(STATIC)
    model(images).square().sum().backward()

    fixed = [name for name, p in model.named_parameters() if p.grad is None]

    assert fixed == [f"blocks.{i}.attn.static_logits" for i in range(2)]


def test_a_row_is_as_even_as_its_docstring_says() -> None:
    """The effective number of keys 1 / sum w^2 of softmax over standard normals is N / e."""
    weights = build_vit(ViTConfig(depth=1, attention="static_random")).blocks[0].attn.static_logits
    rows = weights.softmax(dim=-1)

    effective = (1 / rows.square().sum(dim=-1)).mean().item()

    assert effective == pytest.approx(197 / math.e, rel=0.1)
