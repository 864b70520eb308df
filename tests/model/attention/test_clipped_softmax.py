from dataclasses import replace

import pytest
import torch
from support.arms import TINY
from torch.nn.functional import layer_norm

from model.attention.clipped_softmax import ClippedSoftmaxAttention
from model.config import ViTConfig
from model.vit import build_vit

CLIPPED = replace(TINY, attention="clipped_softmax")


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        # (1 + alpha / 4) p - alpha / 4, at 0 where that is less
        (2.0, [0.0, 0.0, 0.0, 1.5 * 0.7 - 0.5]),
        (0.4, [1.1 * 0.1 - 0.1, 1.1 * 0.1 - 0.1, 1.1 * 0.1 - 0.1, 1.1 * 0.7 - 0.1]),
    ],
)
def test_weights_are_stretched_and_clipped(alpha: float, expected: list[float]) -> None:
    attention = ClippedSoftmaxAttention(replace(CLIPPED, clip_alpha=alpha))

    weights = attention.normalise(torch.tensor([0.1, 0.1, 0.1, 0.7]).log())

    torch.testing.assert_close(weights, torch.tensor(expected))


def test_a_certain_weight_stays_one_and_no_clipping_is_softmax() -> None:
    logits = torch.tensor([[40.0, 0, 0, 0], [1, 2, 3, 4]])

    certain, _ = ClippedSoftmaxAttention(CLIPPED).normalise(logits)
    plain = ClippedSoftmaxAttention(replace(CLIPPED, clip_alpha=1e-9)).normalise(logits)

    assert certain.tolist() == [1, 0, 0, 0]
    torch.testing.assert_close(plain, logits.softmax(dim=-1))


def test_in_vit_s_attention_learns_at_alpha_1_and_is_dead_from_the_start_at_3() -> None:
    """What is clipped passes no gradient, and DeiT's initialisation starts near uniform."""
    x = layer_norm(torch.randn(1, 197, 384, generator=torch.Generator().manual_seed(0)), (384,))

    def gradient(alpha: float) -> float:
        config = ViTConfig(depth=1, attention="clipped_softmax", clip_alpha=alpha)
        attention = build_vit(config).blocks[0].attn
        attention(x).square().sum().backward()
        return float(attention.qkv.weight.grad.norm())

    assert gradient(ViTConfig().clip_alpha) > 0
    assert gradient(3.0) == 0
