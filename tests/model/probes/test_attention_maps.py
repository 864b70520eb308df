import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.attention.base import Inside
from model.config import ViTConfig
from model.probes.attention_maps import measure_block, stable_rank, summarise
from model.probes.base import Array, Findings, Subject
from model.probes.suite import run_probes
from model.vit import build_vit

REGISTERS, TOKENS, HEAD_DIM = 2, 12, 4
PREFIX = 1 + REGISTERS
SUBJECT = Subject(registers=REGISTERS, grid=(3, 3))


def inside(weights: Tensor, **changes: Any) -> Inside:
    """Attention with these weights and values of norm 1."""
    values = torch.zeros(*weights.shape[:3], HEAD_DIM)
    values[..., 0] = 1
    plain = Inside(
        weights=weights, logits=weights, values=values, mixed=weights @ values, gate=None
    )
    return replace(plain, **changes)


def found(*blocks: Inside) -> Findings:
    return summarise(measured(*blocks), SUBJECT)


def measured(*blocks: Inside) -> dict[str, Array]:
    each = [measure_block(block, SUBJECT) for block in blocks]
    return {name: torch.stack([m[name] for m in each], dim=1).numpy() for name in each[0]}


def scalars(weights: Tensor, **changes: Any) -> dict[str, float]:
    return {
        name.removeprefix("attention/"): value
        for name, value in found(inside(weights, **changes)).scalars.items()
    }


def sink_on(token: int, mass: float = 0.5) -> Tensor:
    """One image and head of which every row has this mass on one token, the rest even."""
    weights = torch.full((1, 1, TOKENS, TOKENS), (1 - mass) / (TOKENS - 1))
    weights[..., token] = mass
    return weights


def test_uniform_attention_has_uniform_shares_and_full_entropy() -> None:
    shares = scalars(torch.full((2, 3, TOKENS, TOKENS), 1 / TOKENS))

    expected = {
        "cls_share": 1 / 12, "register_share": 2 / 12, "patch_share": 9 / 12,
        "top_patch_share": 1 / 12, "entropy": math.log(12), "row_mass": 1,
        "cls_share_over_uniform": 1, "register_share_over_uniform": 1,
        "top_patch_share_over_uniform": 1, "sink_rate": 0,
    }  # fmt: skip
    assert {name: shares[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("registers", [0, 1, 4])
def test_a_models_shares_add_up_to_one_and_softmax_rows_have_mass_one(registers: int) -> None:
    config = ViTConfig(img_size=32, patch_size=8, dim=32, depth=2, heads=4, registers=registers)

    shares = run_probes(build_vit(config), torch.randn(2, 3, 32, 32)).scalars

    kinds = ("cls", "register", "patch")
    assert sum(shares[f"attention/{kind}_share"] for kind in kinds) == pytest.approx(1, abs=1e-6)
    assert shares["attention/row_mass"] == pytest.approx(1, abs=1e-6)
    assert ("attention/register_share_over_uniform" in shares) == bool(registers)


def test_signed_rows_of_any_mass_are_read_by_size_with_their_mass_beside() -> None:
    weights = 3 * sink_on(0)
    weights[..., 1::2] *= -1

    shares = scalars(weights)

    assert shares["cls_share"] == pytest.approx(0.5)
    assert shares["row_mass"] == pytest.approx(3)
    assert shares["entropy"] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(22))


OF_ROWS = (
    "cls_share", "register_share", "patch_share", "top_patch_share", "entropy", "distance",
    "sink_rate", "patch_sink_rate", "nop_rate", "broadcast_rate",
)  # fmt: skip


def test_rows_without_any_mass_are_no_distribution_and_have_no_part_in_means() -> None:
    some = sink_on(5, 0.9).repeat(2, 1, 1, 1)
    some[:, :, PREFIX + 3 :] = 0

    whole, partly = scalars(sink_on(5, 0.9)), scalars(some)

    assert (whole["row_mass"], whole["empty_rows"]) == pytest.approx((1, 0))
    assert (partly["row_mass"], partly["empty_rows"]) == pytest.approx((1 / 3, 2 / 3))
    for name in ("cls_share", "register_share", "patch_share", "top_patch_share", "entropy"):
        assert partly[name] == pytest.approx(whole[name]), name
    assert partly["sink_rate"] == 1
    assert sum(partly[f"{kind}_share"] for kind in ("cls", "register", "patch")) == pytest.approx(1)


def test_a_head_of_empty_rows_tells_nothing_and_the_others_are_heard() -> None:
    empty = torch.zeros(1, 1, TOKENS, TOKENS)
    nothing, beside = scalars(empty), found(inside(torch.cat([sink_on(5), empty], dim=1)))

    assert (nothing["row_mass"], nothing["empty_rows"]) == (0, 1)
    assert all(np.isnan(nothing[name]) for name in OF_ROWS)
    assert beside.scalars["attention/empty_rows"] == 0.5
    assert beside.scalars["attention/entropy"] == pytest.approx(scalars(sink_on(5))["entropy"])
    assert beside.scalars["attention/sink_rate"] == 1
    assert np.isnan(beside.arrays["attention/by_head/entropy"]).tolist() == [[False, True]]
    assert measured(inside(empty))["attention/received"].tolist() == [[[0] * 9]]
    received = measured(inside(torch.cat([sink_on(5), empty], dim=1)))["attention/received"]
    assert received[0, 0, 5 - PREFIX] == pytest.approx(0.5)


def test_images_in_which_a_head_is_empty_have_no_part_in_its_means() -> None:
    mixed = torch.cat([sink_on(5), torch.zeros(3, 1, TOKENS, TOKENS)])

    assert scalars(mixed)["top_patch_share"] == pytest.approx(0.5)
    assert scalars(mixed)["empty_rows"] == 0.75


def test_queries_that_look_at_no_patch_are_at_no_distance() -> None:
    weights = sink_on(0, 1.0)
    weights[..., PREFIX, 0], weights[..., PREFIX, PREFIX + 2] = 0.5, 0.5  # two to the right

    assert scalars(weights)["distance"] == 2


@pytest.mark.parametrize("part", ["weights", "values", "mixed"])
def test_attention_that_is_not_finite_has_no_rates(part: str) -> None:
    weights = sink_on(5, 0.9).repeat(2, 3, 1, 1)
    plain = inside(weights)
    broken = getattr(plain, part).clone()
    broken[1, 2, 7, 0] = torch.nan

    findings = found(plain, replace(plain, **{part: broken}))

    for name in (*OF_ROWS, "cls_sink_rate", "register_sink_rate"):
        assert np.isnan(findings.scalars[f"attention/{name}"]), name
        by_head = np.isnan(findings.arrays[f"attention/by_head/{name}"])
        assert by_head.tolist() == [[False] * 3, [False, False, True]], name


@pytest.mark.parametrize("cls", [0, 2])
def test_the_share_of_any_number_of_class_tokens_is_over_its_uniform_value(cls: int) -> None:
    subject = Subject(cls=cls, grid=(3, 3))
    even = inside(torch.full((1, 1, cls + 9, cls + 9), 1 / (cls + 9)))
    taken = {name: value[:, None].numpy() for name, value in measure_block(even, subject).items()}

    findings = summarise(taken, subject)

    assert findings.scalars["attention/cls_share"] == pytest.approx(cls / (cls + 9))
    over_uniform = findings.scalars.get("attention/cls_share_over_uniform")
    assert over_uniform == (pytest.approx(1) if cls else None)
    assert ("attention/cls_maps" in findings.arrays) == bool(cls)


def test_only_patch_queries_are_asked() -> None:
    weights = torch.zeros(1, 1, TOKENS, TOKENS)
    weights[..., :PREFIX, 0] = 1  # class token and registers look at the class token
    weights[..., PREFIX:, 2] = 1  # patches look at a register

    shares = scalars(weights)

    assert shares["cls_share"] == 0
    assert shares["register_share"] == 1
    assert shares["entropy"] == 0


def test_the_top_patch_is_a_sink_and_not_each_query_itself() -> None:
    itself = torch.eye(TOKENS).expand(1, 1, -1, -1)

    assert scalars(itself)["top_patch_share"] == pytest.approx(1 / 9)
    assert scalars(sink_on(7, 1.0))["top_patch_share"] == 1


def test_the_mass_of_the_top_patches_grows_to_that_of_all() -> None:
    weights = torch.zeros(1, 1, TOKENS, TOKENS)
    weights[..., [4, 5, 6, 7, 0]] = torch.tensor([0.4, 0.2, 0.1, 0.05, 0.25])

    mass = found(inside(weights)).arrays["attention/by_head/top_k_mass"][0, 0]

    assert mass == pytest.approx([0.4, 0.6, 0.75, 0.75, 0.75, 0.75])  # k of 1, 2, 5, 10, 20, 50


@pytest.mark.parametrize(
    ("token", "kind"), [(0, "cls"), (1, "register"), (2, "register"), (5, "patch")]
)
def test_a_sink_is_told_by_its_kind(token: int, kind: str) -> None:
    shares = scalars(sink_on(token))

    kinds = ("cls", "register", "patch")
    assert shares["sink_rate"] == 1
    assert [k for k in kinds if shares[f"{k}_sink_rate"]] == [kind]
    assert scalars(sink_on(token, 0.3))["sink_rate"] == 0  # it must exceed 0.3


def test_a_sink_without_a_value_does_nothing_and_one_with_it_broadcasts() -> None:
    weights = sink_on(5, 0.9)
    empty = inside(weights).values.clone()
    empty[:, :, 5] *= 0.1
    spread = torch.eye(HEAD_DIM).repeat(3, 1)[None, None]  # of stable rank 4

    nothing, handed = scalars(weights, values=empty), scalars(weights)
    mixed = scalars(weights, mixed=spread)

    assert (nothing["nop_rate"], nothing["broadcast_rate"]) == (1, 0)
    assert (handed["nop_rate"], handed["broadcast_rate"]) == (0, 1)
    assert (mixed["nop_rate"], mixed["broadcast_rate"]) == (0, 0)
    no_sink = scalars(torch.full((1, 1, TOKENS, TOKENS), 1 / TOKENS))
    assert (no_sink["nop_rate"], no_sink["broadcast_rate"]) == (0, 0)


def test_the_value_of_a_sink_is_told_only_where_there_is_one() -> None:
    weights = torch.cat([sink_on(5, 0.9), torch.full((1, 1, TOKENS, TOKENS), 1 / TOKENS)], dim=1)
    values = inside(weights).values.clone()
    values[:, :, 5] *= 0.1

    ratios = found(inside(weights, values=values)).arrays["attention/by_head/sink_value_ratio"]

    assert ratios[0, 0] == pytest.approx(0.1 * 12 / 11.1)
    assert np.isnan(ratios[0, 1])


def test_the_stable_rank_of_equal_directions_is_their_number() -> None:
    several = torch.eye(6)[:, :3]
    uneven = torch.diag(torch.tensor([2.0, 1.0]))

    assert stable_rank(several).item() == pytest.approx(3)
    assert stable_rank(uneven).item() == pytest.approx(5 / 4)
    assert stable_rank(torch.ones(7, 3)).item() == pytest.approx(1)
    assert stable_rank(torch.zeros(7, 3)).isnan()
    assert stable_rank(torch.full((7, 3), torch.nan)).isnan()


def test_the_stable_rank_is_that_of_patches_after_the_gate() -> None:
    mixed = torch.zeros(1, 1, TOKENS, HEAD_DIM)
    mixed[..., 0] = 1
    mixed[:, :, :PREFIX] = 1e3 * torch.randn(PREFIX, HEAD_DIM)

    assert scalars(sink_on(4), mixed=mixed)["stable_rank"] == pytest.approx(1)


def test_distance_is_that_on_the_grid_among_patches() -> None:
    """From the corner of a 3 x 3 grid: itself 0, its right neighbour 1, the far corner sqrt(8)."""
    weights = torch.zeros(1, 1, TOKENS, TOKENS)
    weights[..., 0] = 0.9  # the class token is nowhere
    weights[..., PREFIX] = 0.1

    to_corner = scalars(weights)["distance"]

    expected = np.mean([math.hypot(row, column) for row in range(3) for column in range(3)])
    assert to_corner == pytest.approx(expected)
    assert scalars(torch.eye(TOKENS).expand(1, 1, -1, -1))["distance"] == 0


def test_logits_are_told_before_normalisation_and_masked_ones_left_out() -> None:
    logits = torch.zeros(2, 3, TOKENS, TOKENS)
    logits[0, 0, 4, 4], logits[1, 2, 0, 7] = 30.0, 50.0
    logits[:, :, 1] = -torch.inf
    weights = torch.full_like(logits, 1 / TOKENS)

    told = scalars(weights, logits=logits)

    assert told["logit_max"] == 40  # the largest of each image, then their mean
    assert told["logit_mean"] == pytest.approx(80 / (2 * 3 * 11 * 12))
    assert "logit_max" not in scalars(weights, logits=None)


def test_arrays_keep_blocks_and_heads_apart() -> None:
    weights = torch.zeros(2, 3, TOKENS, TOKENS)
    weights[:, 1, :, 0] = 1
    weights[:, [0, 2], :, 5] = 1

    arrays = found(inside(weights), inside(weights.flip(3))).arrays

    assert arrays["attention/by_head/cls_share"].tolist() == [[0, 1, 0], [0, 0, 0]]


def test_maps_are_of_the_class_token_in_the_last_block_and_mean_over_heads() -> None:
    earlier, last = torch.rand(8, 3, TOKENS, TOKENS), torch.zeros(8, 3, TOKENS, TOKENS)
    last[:, :, 1:] = 0.5  # from other tokens
    last[:, :, 0, :PREFIX] = 0.1  # to other tokens
    last[4, 0, 0, PREFIX + 5], last[4, 1, 0, PREFIX + 5] = 0.3, 0.6

    maps = found(inside(earlier), inside(last)).arrays["attention/cls_maps"]

    assert maps.shape == (6, 3, 3)
    assert maps[4, 1, 2] == pytest.approx(0.3)
    assert maps.sum() == pytest.approx(0.3)
