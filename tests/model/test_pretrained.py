import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from model.config import GateConfig, ViTConfig
from model.pretrained import Loaded, load_pretrained, read_checkpoint
from model.vit import ViT, build_vit

Theirs = Callable[..., nn.Module]

SMALL = ViTConfig(depth=2, num_classes=10)
"""Two blocks of DeiT III's small model; LayerScale is 1e-4 before weights are loaded."""
PLAIN = replace(SMALL, layer_scale=None)


def timms(name: str, **more: Any) -> nn.Module:
    """A model of timm's whose every parameter matters: gains near 1, all else far from 0."""
    model = timm.create_model(name, pretrained=False, **{"depth": 2, "num_classes": 10, **more})
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            around = 1.0 if key.endswith(("gamma", "norm1.weight", "norm2.weight")) else 0.0
            parameter.normal_(around, 0.1, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def photos() -> Tensor:
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "more", "config"),
    [
        ("deit3_small_patch16_224", {}, SMALL),
        ("deit_small_patch16_224", {}, PLAIN),
        ("vit_small_patch16_224", {}, PLAIN),
        ("vit_small_patch16_224", {"no_embed_class": True}, PLAIN),
        ("vit_small_patch16_224", {"reg_tokens": 4}, replace(PLAIN, registers=4)),
        (
            "vit_small_patch16_224",
            {"reg_tokens": 4, "no_embed_class": True},
            replace(PLAIN, registers=4),
        ),
        (
            "vit_small_patch14_reg4_dinov2",
            {"img_size": 224},
            replace(SMALL, registers=4, patch_size=14),
        ),
    ],
)
def test_logits_are_those_of_timms_own_model_with_the_same_weights(
    photos: Tensor, name: str, more: dict[str, Any], config: ViTConfig
) -> None:
    theirs, ours = timms(name, **more), build_vit(config).eval()

    loaded = load_pretrained(ours, theirs.state_dict())

    assert loaded == Loaded(missing=(), unexpected=())
    with torch.no_grad():
        expected = theirs(photos)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(photos), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("registers", "rows"), [(0, 197), (4, 201)])
def test_position_embeddings_of_other_tokens_are_added_to_the_tokens_bit_for_bit(
    registers: int, rows: int
) -> None:
    theirs = timms("vit_small_patch16_224", reg_tokens=registers)
    state = theirs.state_dict()
    assert state["pos_embed"].shape == (1, rows, 384)

    ours = build_vit(replace(PLAIN, registers=registers))
    load_pretrained(ours, state)

    with torch.no_grad():
        zero = torch.zeros(1, 196, 384)
        assert torch.equal(ours._pos_embed(zero), theirs._pos_embed(zero))


def as_in_deits_repository(state: dict[str, Tensor]) -> dict[str, Any]:
    renamed = {re.sub(r"ls([12])\.gamma", r"gamma_\1", key): v for key, v in state.items()}
    assert {"blocks.0.gamma_1", "blocks.1.gamma_2"} <= renamed.keys()
    return {"model": renamed}


def test_a_file_of_deits_repository_loads_as_timms_does(tmp_path: Path) -> None:
    state = timms("deit3_small_patch16_224").state_dict()
    assert state["pos_embed"].shape == (1, 196, 384)
    torch.save(as_in_deits_repository(state), tmp_path / "deit_3_small.pth")
    ours = build_vit(SMALL)

    loaded = load_pretrained(ours, read_checkpoint(tmp_path / "deit_3_small.pth"))

    assert loaded == Loaded(missing=(), unexpected=())
    assert all(torch.equal(value, state[key]) for key, value in ours.state_dict().items())
    again = build_vit(SMALL)
    load_pretrained(again, as_in_deits_repository(state))
    assert torch.equal(again.blocks[1].ls2.gamma, state["blocks.1.ls2.gamma"])


def test_our_own_weights_load_too(tiny: ViTConfig, tmp_path: Path) -> None:
    trained, other = build_vit(tiny, seed=1), build_vit(tiny, seed=2)
    torch.save(dict(trained.state_dict()), tmp_path / "weights.pt")

    load_pretrained(other, read_checkpoint(tmp_path / "weights.pt"))

    assert all(torch.equal(v, other.state_dict()[k]) for k, v in trained.state_dict().items())


DEEP = ViTConfig(img_size=32, patch_size=8, num_classes=5, dim=32, depth=12, heads=4)


@pytest.mark.parametrize(
    ("arm", "pattern", "number"),
    [
        ({}, "", 0),
        ({"gate": GateConfig()}, r"blocks\.\d+\.attn\.gate\.(weight|bias)", 24),
        ({"gate": GateConfig(bias=False)}, r"blocks\.\d+\.attn\.gate\.weight", 12),
        ({"registers": 4}, "reg_token", 1),
        ({"registers": 2, "gate": GateConfig()}, r"reg_token|blocks\.\d+\.attn\.gate\.\w+", 25),
        ({"attention": "value_bias"}, r"blocks\.\d+\.attn\.\w+", 12),
    ],
)
def test_vanilla_weights_load_into_every_arm_and_only_what_it_adds_is_missing(
    arm: dict[str, Any], pattern: str, number: int
) -> None:
    donor, ours = build_vit(DEEP, seed=1), build_vit(replace(DEEP, **arm))
    before = {name: value.clone() for name, value in ours.state_dict().items()}

    loaded = load_pretrained(ours, donor.state_dict())

    assert loaded.unexpected == ()
    assert len(loaded.missing) == number
    assert all(re.fullmatch(pattern, name) for name in loaded.missing)
    after = ours.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in loaded.missing)
    assert all(torch.equal(after[name], value) for name, value in donor.state_dict().items())


def test_a_head_of_other_classes_is_refused_or_left_out_by_name() -> None:
    donor, ours = build_vit(replace(DEEP, num_classes=7), seed=1), build_vit(DEEP)
    head = ours.head.weight.clone()

    with pytest.raises(ValueError, match=r"head\.weight.*with_head=False leaves it as it is"):
        load_pretrained(ours, donor.state_dict())
    loaded = load_pretrained(ours, donor.state_dict(), with_head=False)

    names = ("head.bias", "head.weight")
    assert loaded == Loaded(missing=names, unexpected=names)
    assert torch.equal(ours.head.weight, head)
    assert torch.equal(ours.norm.weight, donor.norm.weight)


def without(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key not in names}


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        (
            {"layer_scale": None},
            {},
            r"the checkpoint lacks blocks\.0\.ls1\.gamma, .* and 20 more; layer_scale is null",
        ),
        (
            {},
            {"layer_scale": None},
            r"no place for blocks\.0\.ls1\.gamma, .* and 20 more; layer_sca",
        ),
        (
            {"registers": 4},
            {},
            r"the model has no place for reg_token; a checkpoint with registers",
        ),
        ({"registers": 4}, {"registers": 2}, r"\(1, 4, 32\) in the checkpoint and \(1, 2, 32\) in"),
        ({"depth": 11}, {}, r"the checkpoint lacks blocks\.11\.attn\.proj\.bias.* and 10 more"),
        (
            {"heads": 2, "dim": 16},
            {},
            r"the shape is \(1, 1, 16\) in the checkpoint and \(1, 1, 32",
        ),
        ({"gate": GateConfig()}, {}, r"the model has no place for blocks\.0\.attn\.gate\.bias"),
        ({}, {"attention": "uniform"}, r"no place for blocks\.0\.attn\.qkv\.bias.*has to have qkv"),
        (
            {"img_size": 40},
            {},
            r"has 25 rows; img_size 32 with patch_size 8 has 16 patches, so it must be 16, or 17 w",
        ),
    ],
)
def test_what_would_change_the_function_is_refused_and_nothing_is_loaded(
    theirs: dict[str, Any], ours: dict[str, Any], words: str
) -> None:
    donor, model = build_vit(replace(DEEP, **theirs), seed=1), build_vit(replace(DEEP, **ours))
    before = {name: value.clone() for name, value in model.state_dict().items()}

    with pytest.raises(ValueError, match=words):
        load_pretrained(model, donor.state_dict())

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_vanilla_parameter_that_is_not_there_is_refused(tiny: ViTConfig) -> None:
    model: ViT = build_vit(tiny)
    state = without(model.state_dict(), "cls_token", "blocks.0.attn.qkv.bias")

    with pytest.raises(
        ValueError, match=r"the checkpoint lacks blocks\.0\.attn\.qkv\.bias, cls_tok"
    ):
        load_pretrained(model, state)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "holds no model, but an empty dict"),
        ([1], "holds no model, but a list"),
        ({"epoch": 3, "weights": {}}, "'epoch' is a int, no tensor; a model stands at the top, or"),
        (
            {1: torch.zeros(1)},
            "the checkpoint's 1 is a int, no name; a model's tensors are kept by",
        ),
        ({"model": {0: torch.zeros(1)}}, "the checkpoint's 0 is a int, no name"),
        ({"model": {}}, "the checkpoint's 'model' is an empty dict, no tensor"),
    ],
)
def test_a_file_without_a_model_is_refused(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "a.pth")

    with pytest.raises(ValueError, match=re.escape(words)):
        read_checkpoint(tmp_path / "a.pth")


def test_a_nest_without_anything_is_passed_over(tiny: ViTConfig, tmp_path: Path) -> None:
    state = dict(build_vit(tiny).state_dict())
    torch.save({"state_dict_ema": {}, "state_dict": None, "model": state}, tmp_path / "a.pth")

    assert read_checkpoint(tmp_path / "a.pth").keys() == state.keys()


def test_a_file_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    torch.save({"model": {}, "args": Path("lr")}, tmp_path / "a.pth")

    with pytest.raises(ValueError, match=r"a\.pth holds Python objects beside tensors"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "more", "parameters"),
    [
        ("vit_small_patch16_224", {}, 22_050_664),
        ("vit_small_patch16_224", {"num_classes": 100}, 21_704_164),
        ("vit_small_patch16_224", {"reg_tokens": 4}, 22_053_736),
        ("vit_small_patch16_224", {"reg_tokens": 4, "no_embed_class": True}, 22_051_816),
        ("deit3_small_patch16_224", {}, 22_059_496),
    ],
)
def test_the_layouts_that_are_told_apart_have_the_sizes_that_they_are_known_by(
    name: str, more: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, **more)

    assert sum(p.numel() for p in model.parameters()) == parameters
