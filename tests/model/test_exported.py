from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from model.config import GateConfig, ViTConfig
from model.exported import our_code, timm_arguments, timm_code
from model.vit import ViT, build_vit

SMALL = ViTConfig(depth=2, num_classes=10, layer_scale=0.1)
GREY = ViTConfig(img_size=8, patch_size=4, in_chans=1, num_classes=10, dim=16, depth=2, heads=2)


def stirred(config: ViTConfig) -> ViT:
    """A model of which every parameter matters."""
    model = build_vit(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def images_for(config: ViTConfig) -> Tensor:
    size = (2, config.in_chans, config.img_size, config.img_size)
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def run(lines: list[str]) -> Mapping[str, Any]:
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)  # noqa: S102 - it is what a user is told to type
    return names


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, registers=4),
        replace(SMALL, layer_scale=None),
        replace(GREY, registers=1, mlp_ratio=2.0),
        replace(GREY, gate=GateConfig()),
        replace(GREY, gate=GateConfig(init_std=0.5, bias_init=1.0), registers=2),
    ],
    ids=["vanilla", "registers", "no LayerScale", "grey", "gate", "gate and registers"],
)
def test_the_lines_give_a_model_of_timm_with_the_very_same_logits(
    config: ViTConfig, ending: str, tmp_path: Any
) -> None:
    from safetensors.torch import save_file

    ours, file = stirred(config), str(tmp_path / f"x.{ending}")
    (save_file if ending == "safetensors" else torch.save)(dict(ours.state_dict()), file)

    theirs = run(timm_code(config, file))["model"].eval()

    assert not isinstance(theirs, ViT)
    images = images_for(config)
    with torch.no_grad():
        assert torch.equal(theirs(images), ours(images))


def test_vanilla_is_timms_deit3_by_name() -> None:
    ours = stirred(SMALL)
    theirs = timm.create_model("deit3_small_patch16_224", depth=2, num_classes=10).eval()

    theirs.load_state_dict(ours.state_dict(), strict=True)

    images = images_for(SMALL)
    with torch.no_grad():
        assert torch.equal(theirs(images), ours(images))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attention": "differential"}, "timm has no attention differential; it has softmax"),
        ({"gate": GateConfig(position="value")}, "no gate with position value.* has position sdpa"),
        ({"gate": GateConfig(granularity="headwise")}, "no gate with granularity headwise"),
        ({"gate": GateConfig(activation="silu")}, "no gate with activation silu"),
        ({"gate": GateConfig(mode="add")}, "no gate with mode add"),
        ({"gate": GateConfig(input="none")}, "no gate with input none"),
        ({"gate": GateConfig(bias=False)}, "no gate with bias False; its only one has bias True"),
    ],
)
def test_what_timm_does_not_have_is_named_and_ours_loads_it(
    changes: dict[str, Any], words: str, tmp_path: Any
) -> None:
    config = replace(GREY, **changes)
    ours, file = stirred(config), str(tmp_path / "x.pt")
    torch.save(ours.state_dict(), file)

    with pytest.raises(ValueError, match=words):
        timm_arguments(config)
    again = run(our_code(config, file))["model"].eval()
    images = images_for(config)
    with torch.no_grad():
        assert torch.equal(again(images), ours(images))
