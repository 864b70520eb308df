import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
from support.arms import ARMS as ALL_ARMS
from support.arms import GATES, TINY
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.distributed import HashStore, destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from model.config import GateConfig, ViTConfig
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]

ADD_ONLY = ("softmax_plus_one", "clipped_softmax", "sigmoid", "extra_key_value", "value_bias",
            "head_rms_norm", "differential")  # fmt: skip
"""Variants that keep every weight of softmax attention."""


def test_the_parameters_are_those_of_timms_deit3() -> None:
    theirs = timm.create_model("deit3_small_patch16_224", num_classes=100)

    ours = build_vit(ViTConfig(num_classes=100))

    assert _shapes(ours) == _shapes(theirs)
    assert ours.pos_embed.shape[1] == 196


@pytest.mark.parametrize("registers", [0, 3])
def test_timms_own_forward_gives_the_same_logits(
    tiny: ViTConfig, build: Build, images: Tensor, registers: int
) -> None:
    config = replace(tiny, registers=registers, layer_scale=0.1)
    model = build(config)
    theirs = VisionTransformer(
        img_size=32, patch_size=8, num_classes=5, embed_dim=32, depth=3, num_heads=4,
        init_values=0.1, reg_tokens=registers, no_embed_class=True,
    )  # fmt: skip
    theirs.load_state_dict(model.state_dict())

    torch.testing.assert_close(model(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_timms_intermediates_and_features_still_work(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(replace(tiny, registers=2))

    final, blocks = model.forward_intermediates(
        images, norm=True, output_fmt="NLC", return_prefix_tokens=True
    )

    patches, prefix = blocks[-1]
    assert torch.equal(torch.cat([prefix, patches], dim=1), final)
    assert torch.equal(final, model.forward_features(images))


@pytest.mark.parametrize("name", ALL_ARMS)
def test_arms_share_every_weight_that_they_share_by_name_and_shape(name: str) -> None:
    vanilla, other = (build_vit(config).state_dict() for config in (TINY, ALL_ARMS[name]))

    shared = {n for n in vanilla.keys() & other.keys() if vanilla[n].shape == other[n].shape}

    assert all(torch.equal(vanilla[n], other[n]) for n in shared)
    if ALL_ARMS[name].attention in ("softmax", *ADD_ONLY):
        assert shared == vanilla.keys()
    else:
        assert {n for n in vanilla if ".attn." not in n} <= shared


def test_layer_scale_and_drop_path_change_no_other_weight(tiny: ViTConfig) -> None:
    vanilla = build_vit(tiny).state_dict()
    scaled = build_vit(replace(tiny, layer_scale=1e-4, drop_path=0.3)).state_dict()

    assert all(torch.equal(vanilla[name], scaled[name]) for name in vanilla)
    assert all(".ls" in name for name in scaled.keys() - vanilla.keys())


def test_no_registers_is_the_model_that_knows_of_none_bit_for_bit(
    build: Build, images: Tensor
) -> None:
    model = build(replace(TINY, registers=0))
    theirs = VisionTransformer(
        img_size=32, patch_size=8, num_classes=5, embed_dim=32, depth=2, num_heads=4,
        no_embed_class=True,
    )  # fmt: skip
    theirs.load_state_dict(model.state_dict())

    assert model.reg_token is None
    assert torch.equal(model(images), theirs(images))


def test_the_head_does_not_read_what_registers_became(build: Build, images: Tensor) -> None:
    model = build(replace(TINY, registers=2))
    tokens = model.forward_features(images)
    disturbed = tokens.clone()
    disturbed[:, 1:3] = 1e6

    assert torch.equal(model.forward_head(tokens), model.forward_head(disturbed))


def test_another_seed_draws_every_weight_matrix_anew(tiny: ViTConfig) -> None:
    one, two = build_vit(tiny, seed=1), build_vit(tiny, seed=2)

    drawn = [(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True) if a.ndim > 1]

    assert drawn
    assert not any(torch.equal(a, b) for a, b in drawn)


def test_no_two_blocks_start_alike(tiny: ViTConfig) -> None:
    blocks = build_vit(tiny).blocks

    assert not torch.equal(blocks[0].mlp.fc1.weight, blocks[1].mlp.fc1.weight)


def test_building_leaves_the_global_random_state_alone(tiny: ViTConfig) -> None:
    before = torch.get_rng_state()

    build_vit(replace(tiny, gate=GateConfig(), registers=2))

    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_start_as_deit3_has_them() -> None:
    gate = GateConfig(init_std=0.5, bias_init=2.0)
    model = build_vit(ViTConfig(depth=2, registers=4, gate=gate))
    block = model.blocks[1]

    for weight in (block.attn.qkv.weight, block.mlp.fc2.weight, model.head.weight, model.pos_embed):
        assert weight.std().item() == pytest.approx(0.02, rel=0.03)
    for token in (model.cls_token, model.reg_token):
        assert token.std().item() == pytest.approx(0.02, rel=0.2)
    # uniform within 1 / sqrt(fan in), PyTorch's default for a convolution
    assert model.patch_embed.proj.weight.std().item() == pytest.approx(768**-0.5 / 3**0.5, rel=0.01)
    assert block.attn.gate.weight.std().item() == pytest.approx(0.5, rel=0.01)
    assert block.attn.gate.bias.unique().tolist() == [2.0]
    assert block.ls2.gamma.unique().item() == pytest.approx(1e-4)
    assert block.norm1.weight.unique().tolist() == [1.0]
    assert model.norm.eps == block.norm1.eps == 1e-6
    for bias in (block.attn.qkv.bias, block.mlp.fc1.bias, model.head.bias, model.norm.bias):
        assert not bias.any()


def test_the_final_norm_hides_the_norms_that_tokens_have() -> None:
    """All tokens leave it with norm sqrt(384); the class token, of std .02, feels its epsilon."""
    model = build_vit(ViTConfig(img_size=32, depth=2, registers=2))
    images = torch.randn(6, 3, 32, 32)

    after = model.forward_features(images).norm(dim=-1)
    before = model._pos_embed(model.patch_embed(images)).norm(dim=-1)

    assert after[:, 3:].flatten().tolist() == pytest.approx([384**0.5] * 24, rel=1e-4)
    assert after.flatten().tolist() == pytest.approx([384**0.5] * 42, rel=2e-3)
    assert before.max() > 1.2 * before.min()


def _loaded(arm: ViTConfig) -> tuple[list[str], list[str]]:
    """Missing and unexpected keys when vanilla weights are loaded into an arm."""
    vanilla = build_vit(replace(arm, registers=0, gate=None)).state_dict()
    result = build_vit(arm).load_state_dict(vanilla, strict=False)
    return result.missing_keys, result.unexpected_keys


@pytest.mark.parametrize("name", GATES)
def test_vanilla_weights_load_into_every_gated_model(name: str) -> None:
    missing, unexpected = _loaded(ViTConfig(img_size=32, dim=48, gate=GATES[name]))

    assert not unexpected
    assert all(".attn.gate." in key for key in missing)
    assert len(missing) == (12 if GATES[name].input == "none" else 24)


def test_vanilla_weights_load_into_a_model_with_registers() -> None:
    assert _loaded(ViTConfig(img_size=32, dim=48, registers=4)) == (["reg_token"], [])


def test_keeping_every_branch_is_dropping_none(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(tiny)

    assert torch.equal(model(images, torch.ones(3, 2, 6)), model(images))


@pytest.mark.parametrize("branch", [0, 1])
def test_a_dropped_branch_is_a_branch_that_is_not_there(
    tiny: ViTConfig, build: Build, images: Tensor, branch: int
) -> None:
    model = build(tiny)
    keep = torch.ones(3, 2, 6)
    keep[1, branch, 4] = 0
    dropped, whole = model(images, keep), model(images)
    last = (model.blocks[1].attn.proj, model.blocks[1].mlp.fc2)[branch]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()

    without = model(images)

    torch.testing.assert_close(dropped[4], without[4])
    assert not torch.allclose(dropped[4], whole[4], atol=1e-2)
    others = [0, 1, 2, 3, 5]
    torch.testing.assert_close(dropped[others], whole[others])


def test_a_kept_branch_is_scaled(tiny: ViTConfig, build: Build, images: Tensor) -> None:
    model = build(replace(tiny, layer_scale=0.1))
    scaled = model(images, torch.full((3, 2, 6), 1.25))
    with torch.no_grad():
        for block in model.blocks:
            block.ls1.gamma.mul_(1.25)
            block.ls2.gamma.mul_(1.25)

    torch.testing.assert_close(scaled, model(images))


def test_scales_of_another_shape_are_refused_with_the_right_one(
    tiny: ViTConfig, images: Tensor
) -> None:
    with pytest.raises(ValueError, match=r"\(2, 6\).*\(3, 2, 6\)"):
        build_vit(tiny)(images, torch.ones(2, 6))


def test_training_mode_draws_nothing(tiny: ViTConfig, build: Build, images: Tensor) -> None:
    model = build(replace(tiny, drop_path=0.9)).train()

    assert torch.equal(model(images), model(images))


def test_checkpointed_activations_give_the_same_gradients(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model, keep = build(tiny), torch.ones(3, 2, 6)
    keep[0, 1, :3] = 0
    model(images, keep).sum().backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()

    model.set_grad_checkpointing()
    model(images, keep).sum().backward()

    assert all(torch.equal(p.grad, e) for p, e in zip(model.parameters(), expected, strict=True))


def test_position_learned_tokens_keys_and_values_take_no_weight_decay_and_gates_do() -> None:
    def spared(**arm: object) -> set[str]:
        model = build_vit(replace(TINY, **arm))
        names = {name for name, p in model.named_parameters() if p.ndim > 1}
        assert model.no_weight_decay() <= names | {"reg_token"}
        return names & model.no_weight_decay()

    tokens = {"pos_embed", "cls_token"}
    assert spared(registers=2, gate=GateConfig()) == {*tokens, "reg_token"}
    extra = {f"blocks.{i}.attn.extra_{part}" for i in range(2) for part in ("key", "value")}
    assert spared(attention="extra_key_value") == tokens | extra
    assert spared(attention="value_bias") == tokens | {n for n in extra if n.endswith("value")}


def test_input_independent_gates_and_lambdas_are_vectors_which_never_decay() -> None:
    gated = build_vit(replace(TINY, gate=GateConfig(input="none")))
    differential = build_vit(replace(TINY, attention="differential"))

    assert [p.ndim for n, p in gated.named_parameters() if ".gate." in n] == [1, 1]
    assert {p.ndim for n, p in differential.named_parameters() if "lambda" in n} == {1}


def test_a_model_can_be_copied_as_an_average_of_weights_needs(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(replace(tiny, gate=GateConfig()))

    again = copy.deepcopy(model)

    assert torch.equal(again(images), model(images))


def test_every_parameter_takes_part_so_that_ddp_can_wait_for_all(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(replace(tiny, gate=GateConfig(), registers=2))
    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        DistributedDataParallel(model)(images, torch.ones(3, 2, 6)).sum().backward()
    finally:
        destroy_process_group()

    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("name", ALL_ARMS)
def test_every_trained_parameter_of_every_arm_gets_a_gradient(images: Tensor, name: str) -> None:
    config = ALL_ARMS[name]
    model = build_vit(config)
    model(images).square().sum().backward()

    idle = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}

    assert not idle


def test_a_patch_is_a_square_of_the_image_and_all_of_them_are_the_image() -> None:
    """Patches in rows; channels, then rows, then columns within one, as the embedding reads."""
    model = build_vit(ViTConfig(depth=1))
    images = torch.randn(2, 3, 224, 224)
    patches = torch.nn.functional.unfold(images, 16, stride=16).transpose(1, 2)
    again = torch.nn.functional.fold(patches.transpose(1, 2), 224, 16, stride=16)
    projection = model.patch_embed.proj

    embedded = patches @ projection.weight.flatten(1).T + projection.bias

    assert torch.equal(again, images)
    assert torch.equal(patches[:, 0], images[:, :, :16, :16].flatten(1))
    assert torch.equal(patches[:, 14 + 2], images[:, :, 16:32, 32:48].flatten(1))
    torch.testing.assert_close(model.patch_embed(images), embedded, rtol=1e-4, atol=1e-4)


def _shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}
