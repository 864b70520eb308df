import torch

from model.attention.softmax import SoftmaxAttention
from model.config import ViTConfig


def test_the_weights_reproduce_what_the_fused_kernel_gives(tiny: ViTConfig) -> None:
    attention = SoftmaxAttention(tiny)
    x = 3 * torch.randn(2, 17, 32)
    values = attention.qkv(x)[..., 64:].unflatten(-1, (4, 8)).transpose(1, 2)

    mixed = attention.weights(x) @ values

    torch.testing.assert_close(attention(x), attention.proj(mixed.transpose(1, 2).flatten(2)))
