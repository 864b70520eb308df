import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.distributed import HashStore, destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from model.config import GateConfig, ViTConfig
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]

ARMS: list[dict[str, object]] = [
    {"registers": 2},
    {"registers": 5},
    {"gate": GateConfig()},
    {"gate": GateConfig(position="value", bias=False), "registers": 3},
    {"layer_scale": 1e-4, "drop_path": 0.3},
]


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


@pytest.mark.parametrize("arm", ARMS)
def test_arms_share_every_weight_that_they_share_by_name(
    tiny: ViTConfig, arm: dict[str, object]
) -> None:
    vanilla, other = build_vit(tiny).state_dict(), build_vit(replace(tiny, **arm)).state_dict()

    extra = other.keys() - vanilla.keys()

    assert vanilla.keys() <= other.keys()
    assert all(torch.equal(vanilla[name], other[name]) for name in vanilla)
    assert all(".gate." in name or name == "reg_token" or ".ls" in name for name in extra)


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


@pytest.mark.parametrize(
    ("arm", "missing"), [({"gate": GateConfig()}, ".gate."), ({"registers": 4}, "reg_token")]
)
def test_vanilla_weights_load_into_every_arm(arm: dict[str, object], missing: str) -> None:
    vanilla = ViTConfig(img_size=32)

    loaded = build_vit(replace(vanilla, **arm)).load_state_dict(
        build_vit(vanilla).state_dict(), strict=False
    )

    assert not loaded.unexpected_keys
    assert all(missing in name for name in loaded.missing_keys)
    assert len(loaded.missing_keys) == (24 if "gate" in arm else 1)


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


def test_position_and_learned_tokens_take_no_weight_decay_and_gates_do(tiny: ViTConfig) -> None:
    model = build_vit(replace(tiny, registers=2, gate=GateConfig()))

    spared = {name for name, p in model.named_parameters() if p.ndim > 1} & model.no_weight_decay()

    assert spared == {"pos_embed", "cls_token", "reg_token"}


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


@pytest.mark.slow
def test_a_gated_model_compiles_without_graph_breaks(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model, keep = build(replace(tiny, gate=GateConfig(), registers=2)), torch.ones(3, 2, 6)
    keep[1, 0, 2] = 0

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")

    torch.testing.assert_close(compiled(images), model(images))
    torch.testing.assert_close(compiled(images, keep), model(images, keep))


def _shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}
