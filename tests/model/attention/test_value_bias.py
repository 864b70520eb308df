from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit

BIASED = replace(TINY, attention="value_bias")


def test_it_starts_as_vanilla(images: Tensor) -> None:
    assert torch.equal(build_vit(BIASED)(images), build_vit(TINY)(images))


def test_the_vector_is_added_to_each_heads_output(
    layer: Callable[[ViTConfig], Any], x: Tensor
) -> None:
    attention = layer(BIASED)
    before = attention.inside(x).mixed
    attention.extra_value[2] += 3

    after = attention.inside(x).mixed

    torch.testing.assert_close(after[:, 2], before[:, 2] + 3)
    assert torch.equal(after[:, [0, 1, 3]], before[:, [0, 1, 3]])
