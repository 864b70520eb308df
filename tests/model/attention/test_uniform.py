from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig


def test_every_query_gets_the_mean_of_the_values(
    layer: Callable[[ViTConfig], Any], x: Tensor
) -> None:
    attention = layer(replace(TINY, attention="uniform"))

    out = attention(x)

    mean = attention.v(x).mean(dim=1, keepdim=True)
    torch.testing.assert_close(out, attention.proj(mean).expand(2, 17, 32))
