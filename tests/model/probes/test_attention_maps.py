import math

import pytest
import torch
from torch import Tensor

from model.probes.attention_maps import measure, summarise

REGISTERS, TOKENS = 2, 12
PREFIX = 1 + REGISTERS


def scalars(weights: Tensor) -> dict[str, float]:
    measured = measure({"attention": [weights]}, registers=REGISTERS)
    return summarise({name: tensor.numpy() for name, tensor in measured.items()}).scalars


def test_uniform_attention_has_uniform_shares_and_full_entropy() -> None:
    found = scalars(torch.full((2, 3, TOKENS, TOKENS), 1 / TOKENS))

    assert found == pytest.approx(
        {
            "attention/cls_share": 1 / 12,
            "attention/register_share": 2 / 12,
            "attention/patch_share": 9 / 12,
            "attention/top_patch_share": 1 / 12,
            "attention/entropy": math.log(12),
        }
    )


def test_shares_add_up_to_one() -> None:
    found = scalars((4 * torch.randn(2, 3, TOKENS, TOKENS)).softmax(dim=-1))

    kinds = ("cls", "register", "patch")
    assert sum(found[f"attention/{kind}_share"] for kind in kinds) == pytest.approx(1, abs=1e-6)


def test_only_patch_queries_are_asked() -> None:
    weights = torch.zeros(1, 1, TOKENS, TOKENS)
    weights[..., :PREFIX, 0] = 1  # class token and registers look at the class token
    weights[..., PREFIX:, 2] = 1  # patches look at a register

    found = scalars(weights)

    assert found["attention/cls_share"] == 0
    assert found["attention/register_share"] == 1
    assert found["attention/entropy"] == 0


def test_the_top_patch_is_a_sink_and_not_each_query_itself() -> None:
    itself = torch.eye(TOKENS).expand(1, 1, -1, -1)
    sink = torch.zeros(1, 1, TOKENS, TOKENS)
    sink[..., 7] = 1

    assert scalars(itself)["attention/top_patch_share"] == pytest.approx(1 / 9)
    assert scalars(sink)["attention/top_patch_share"] == 1


def test_arrays_keep_blocks_and_heads_apart() -> None:
    weights = torch.zeros(2, 3, TOKENS, TOKENS)
    weights[:, 1, :, 0] = 1
    weights[:, [0, 2], :, 5] = 1

    measured = measure({"attention": [weights, weights.flip(3)]}, registers=REGISTERS)
    arrays = summarise({name: tensor.numpy() for name, tensor in measured.items()}).arrays

    assert arrays["attention/by_head/cls_share"].tolist() == [[0, 1, 0], [0, 0, 0]]


def test_maps_are_of_the_class_token_in_the_last_block_and_mean_over_heads() -> None:
    earlier, last = torch.rand(8, 3, TOKENS, TOKENS), torch.zeros(8, 3, TOKENS, TOKENS)
    last[:, :, 1:] = 0.5  # from other tokens
    last[:, :, 0, :PREFIX] = 0.1  # to other tokens
    last[4, 0, 0, PREFIX + 5], last[4, 1, 0, PREFIX + 5] = 0.3, 0.6

    measured = measure({"attention": [earlier, last]}, registers=REGISTERS)
    maps = summarise({k: v.numpy() for k, v in measured.items()}).arrays["attention/cls_maps"]

    assert maps.shape == (6, 3, 3)
    assert maps[4, 1, 2] == pytest.approx(0.3)
    assert maps.sum() == pytest.approx(0.3)
