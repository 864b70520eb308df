from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import GateConfig, ViTConfig
from model.probes.suite import measure, run_probes, summarise
from model.vit import ViT

Build = Callable[[ViTConfig], ViT]

SCALARS = {
    "norms/median", "norms/max", "norms/max_over_median", "norms/outlier_share", "norms/kurtosis",
    "norms/worst_outlier_share", "norms/worst_block", "norms/cls",
    "activations/max_inf", "activations/kurtosis",
    "attention/entropy", "attention/cls_share", "attention/register_share",
    "attention/patch_share", "attention/top_patch_share",
}  # fmt: skip
ARMS: list[tuple[dict[str, object], set[str]]] = [
    ({}, set()),
    ({"registers": 2}, {"norms/register"}),
    ({"gate": GateConfig()}, {"gates/mean", "gates/sparsity"}),
]


@pytest.mark.parametrize(("arm", "more"), ARMS)
def test_the_scalars_of_an_arm_are_those_that_apply(
    tiny: ViTConfig, build: Build, images: Tensor, arm: dict[str, object], more: set[str]
) -> None:
    findings = run_probes(build(replace(tiny, **arm)), images)

    assert findings.scalars.keys() == SCALARS | more
    assert all(np.isfinite(value) for value in findings.scalars.values())
    assert any(name.startswith("gates/") for name in findings.arrays) == ("gate" in arm)


@pytest.mark.parametrize("split", [[1] * 6, [4, 2], [2, 2, 2]])
def test_findings_do_not_depend_on_how_the_images_are_split(
    tiny: ViTConfig, build: Build, images: Tensor, split: list[int]
) -> None:
    model = build(replace(tiny, registers=2, gate=GateConfig()))
    portions = [measure(model, part) for part in images.split(split)]

    joined = summarise(
        {name: torch.cat([p[name] for p in portions]).numpy() for name in portions[0]}
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
