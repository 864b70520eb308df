from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.config import GateConfig, ViTConfig
from model.probes.base import Subject
from model.probes.suite import measure, run_probes, summarise
from model.variants import VARIANTS
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]

ALWAYS = {
    *(f"norms/{name}" for name in (
        "median", "max", "max_over_median", "outlier_share", "kurtosis", "worst_outlier_share",
        "cls", "share_above_2x", "share_above_3x", "share_above_5x",
        "after_final_median", "after_final_max_over_median",
    )),
    *(f"activations/{name}" for name in ("max_inf", "kurtosis", "massive_channels")),
    *(f"attention/{name}" for name in (
        "entropy", "cls_share", "register_share", "patch_share", "top_patch_share",
        "cls_share_over_uniform", "top_patch_share_over_uniform", "row_mass",
        "empty_rows", "distance",
        "sink_rate", "cls_sink_rate", "register_sink_rate", "patch_sink_rate", "nop_rate",
        "broadcast_rate", "stable_rank", "logit_mean", "logit_max",
    )),
    "redundancy/rest",
}  # fmt: skip
OF_OUTLIERS = {
    "norms/worst_block",
    *("attention/outliers_received", "mlp/outlier_max_norm", "mlp/outlier_max_abs"),
    "redundancy/outliers",
}
"""Where there are outliers."""
GATES = {
    f"gates/{name}"
    for name in ("mean", "sparsity", "share_below_0.01", "share_below_0.5", "dead", "saturated")
}
ARMS: list[tuple[dict[str, object], set[str]]] = [
    ({}, set()),
    ({"registers": 2}, {"norms/register", "attention/register_share_over_uniform"}),
    ({"gate": GateConfig()}, GATES),
    ({"layer_scale": 0.1}, {"layer_scale/attention", "layer_scale/mlp"}),
]


@pytest.mark.parametrize(("arm", "more"), ARMS)
def test_the_scalars_of_an_arm_are_those_that_apply(
    tiny: ViTConfig, build: Build, images: Tensor, arm: dict[str, object], more: set[str]
) -> None:
    findings = run_probes(build(replace(tiny, **arm)), images)

    assert findings.scalars.keys() - OF_OUTLIERS == ALWAYS | more
    assert all(np.isfinite(value) for value in findings.scalars.values())
    assert any(name.startswith("gates/") for name in findings.arrays) == ("gate" in arm)


@pytest.mark.parametrize("split", [[1] * 6, [4, 2], [2, 2, 2]])
def test_findings_do_not_depend_on_how_the_images_are_split(
    tiny: ViTConfig, build: Build, images: Tensor, split: list[int]
) -> None:
    model = build(replace(tiny, registers=2, gate=GateConfig()))
    portions = [measure(model, part) for part in images.split(split)]

    joined = summarise(
        {name: torch.cat([p[name] for p in portions]).numpy() for name in portions[0]},
        Subject.of(model, images),
    )

    whole = run_probes(model, images)
    assert joined.scalars == pytest.approx(whole.scalars, rel=1e-4)
    for name, array in whole.arrays.items():
        if "histogram" not in name:  # a value may cross the edge of a bin by rounding
            np.testing.assert_allclose(joined.arrays[name], array, rtol=1e-4, err_msg=name)


def test_every_measurement_has_one_row_per_image(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    measured = measure(build(replace(tiny, gate=GateConfig())), images)

    assert {len(tensor) for tensor in measured.values()} == {6}
    assert not any(tensor.requires_grad for tensor in measured.values())


@pytest.mark.parametrize("attention", list(VARIANTS))
def test_every_variant_of_attention_can_be_probed(
    tiny: ViTConfig, images: Tensor, attention: str
) -> None:
    scalars = run_probes(build_vit(replace(tiny, attention=attention)), images).scalars

    kinds = ("cls", "register", "patch")
    shares = sum(scalars[f"attention/{kind}_share"] for kind in kinds)
    assert shares == pytest.approx(1, abs=1e-6)


TIMMS: list[dict[str, object]] = [
    {"reg_tokens": 3},
    {"class_token": False, "global_pool": "avg"},
    {"class_token": False, "reg_tokens": 2, "global_pool": "avg"},
    {"qk_norm": True, "init_values": 0.1, "dynamic_img_size": True},
]


@pytest.mark.parametrize("kind", TIMMS)
def test_any_vision_transformer_of_timm_can_be_probed(kind: dict[str, object]) -> None:
    model = VisionTransformer(
        img_size=(32, 16), patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=3, **kind
    ).eval()

    findings = run_probes(model, torch.randn(3, 3, 32, 16))

    assert findings.arrays["norms/tokens"].shape == (2, 3, 8)
    assert findings.arrays["norms/maps"].shape == (3, 4, 2)
    assert ("norms/cls" in findings.scalars) == kind.get("class_token", True)
    assert ("norms/register" in findings.scalars) == ("reg_tokens" in kind)
    assert all(np.isfinite(value) for value in findings.scalars.values())


def test_probing_a_diverged_model_gives_nan_and_no_failure(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(replace(tiny, gate=GateConfig()))
    with torch.no_grad():
        model.blocks[1].attn.qkv.weight[0, 0] = torch.nan

    scalars = run_probes(model, images).scalars

    assert np.isnan(scalars["norms/median"])


def test_probing_changes_no_bit_of_the_model(tiny: ViTConfig, build: Build, images: Tensor) -> None:
    model = build(tiny)
    before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()

    run_probes(model, images)

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
