from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import (
    ParallelScalingBlock,
    ParallelThingsBlock,
    ResPostBlock,
    VisionTransformer,
)
from torch import Tensor, nn

from model.config import GateConfig, ViTConfig
from model.record import record, watch
from model.vit import ViT

Build = Callable[[ViTConfig], ViT]
ALL = ("embedding", "inside", "mlp", "blocks", "final")


@pytest.fixture
def model(tiny: ViTConfig, build: Build) -> Iterator[ViT]:
    yield build(replace(tiny, registers=2, gate=GateConfig(), layer_scale=0.1))
    torch.compiler.reset()


def test_blocks_are_what_timm_gives_before_the_final_norm(model: ViT, images: Tensor) -> None:
    theirs = model.forward_intermediates(
        images, output_fmt="NLC", return_prefix_tokens=True, intermediates_only=True
    )

    with record(model) as seen:
        model(images)

    assert len(seen["blocks"]) == 3
    for block, (patches, prefix) in zip(seen["blocks"], theirs, strict=True):
        assert torch.equal(block, torch.cat([prefix, patches], dim=1))


def test_every_place_shows_what_it_is_named_after(model: ViT, images: Tensor) -> None:
    with record(model, ALL) as seen:
        model(images)

    assert torch.equal(seen["embedding"][0], model.patch_embed(images))
    assert torch.equal(seen["final"][0], model.forward_features(images))
    assert torch.equal(seen["final"][0], model.norm(seen["blocks"][-1]))
    assert [i.weights.shape for i in seen["inside"]] == [(6, 4, 19, 19)] * 3
    assert not any(t.requires_grad for name in ("mlp", "blocks", "final") for t in seen[name])


def test_the_stream_is_the_sum_of_what_its_branches_add(model: ViT, images: Tensor) -> None:
    with record(model, ["blocks", "inside", "mlp"]) as seen:
        model(images)

    block, attention = model.blocks[1], seen["inside"][1].mixed.transpose(1, 2).flatten(2)
    after_attention = seen["blocks"][0] + block.ls1(block.attn.proj(attention))
    torch.testing.assert_close(after_attention + seen["mlp"][1], seen["blocks"][1])


@pytest.mark.parametrize(
    ("more", "first"),
    [({"block_fn": ResPostBlock}, "mlp"), ({"init_values": 0.1}, "norm2"), ({}, "norm2")],
)
def test_the_stream_of_timms_blocks_is_that_sum_too(
    images: Tensor, more: dict[str, Any], first: str
) -> None:
    """The stream before the MLP is what the first module of its branch is given."""
    model = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, **more
    ).eval()
    before: list[Tensor] = []
    branch = getattr(model.blocks[1], first)
    branch.register_forward_pre_hook(lambda _, args: before.append(args[0]))

    with torch.no_grad(), record(model, ["blocks", "inside", "mlp"]) as seen:
        model(images)

    torch.testing.assert_close(before[0] + seen["mlp"][1], seen["blocks"][1])


@pytest.mark.parametrize("block", [ParallelThingsBlock, ParallelScalingBlock])
@pytest.mark.parametrize("place", ["inside", "mlp"])
def test_blocks_of_parallel_branches_are_refused_by_name(
    images: Tensor, block: type[nn.Module], place: str
) -> None:
    model = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, block_fn=block
    )

    with pytest.raises(TypeError, match=f"type {block.__name__}: known are timm's Block"):
        record(model, ["blocks", place]).__enter__()
    assert _hooks(model) == 0

    with record(model, ["embedding", "blocks", "final"]) as seen:
        model(images)
    assert len(seen["blocks"]) == 2


def test_a_watcher_gets_each_block_before_the_next_one_runs(model: ViT, images: Tensor) -> None:
    order: list[str] = []
    receivers = {name: lambda _, name=name: order.append(name) for name in ALL}

    with watch(model, receivers):
        model(images)

    assert order == ["embedding", *["inside", "mlp", "blocks"] * 3, "final"]


def test_recording_changes_no_result_and_leaves_no_hooks(model: ViT, images: Tensor) -> None:
    expected = model(images)

    with record(model, ALL):
        assert torch.equal(model(images), expected)

    assert _hooks(model) == 0


def test_a_failing_forward_leaves_the_model_clean(model: ViT, images: Tensor) -> None:
    with pytest.raises(ValueError, match="keep"), record(model, ALL):
        model(images, torch.ones(1))

    assert _hooks(model) == 0


def test_recordings_may_nest(model: ViT, images: Tensor) -> None:
    with record(model) as outer, record(model, ["blocks", "inside"]) as inner:
        model(images)

    assert all(torch.equal(a, b) for a, b in zip(outer["blocks"], inner["blocks"], strict=True))
    assert _hooks(model) == 0


@pytest.mark.parametrize("name", ALL)
def test_a_second_forward_is_refused(model: ViT, images: Tensor, name: str) -> None:
    with record(model, [name]):
        model(images)
        with pytest.raises(RuntimeError, match="one forward pass"):
            model(images)

    assert _hooks(model) == 0


def test_an_unknown_name_is_refused_with_the_known_ones(model: ViT) -> None:
    with pytest.raises(ValueError, match="cannot record norms; known names: embedding, inside"):
        record(model, ["norms"]).__enter__()


def test_a_mask_is_refused_and_not_passed_over(images: Tensor) -> None:
    model = VisionTransformer(img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=4)

    with pytest.raises(TypeError, match="given a mask"), record(model, ["inside"]):
        model.forward_features(images, attn_mask=torch.zeros(17, 17))


@pytest.mark.parametrize(
    ("name", "depth", "tokens", "patches"),
    [
        ("deit3_small_patch16_224", 12, 197, 196),
        ("vit_small_patch14_reg4_dinov2", 12, 261, 256),
        ("vit_base_patch16_gap_224", 12, 196, 196),
    ],
)
def test_timms_pretrained_architectures_can_be_recorded(
    name: str, depth: int, tokens: int, patches: int
) -> None:
    size = 14 * 16 if "14" in name else 224
    model = timm.create_model(name, img_size=size).eval()

    with torch.no_grad(), record(model, ALL) as seen:
        model(torch.randn(1, 3, size, size))

    assert [x.shape[1] for x in seen["blocks"]] == [tokens] * depth
    assert seen["embedding"][0].shape[1] == patches
    assert len(seen["inside"]) == len(seen["mlp"]) == depth


@pytest.mark.slow
def test_a_compiled_model_is_whole_and_the_same_before_and_after_a_recording(
    model: ViT, images: Tensor
) -> None:
    """No graph break where nothing is recorded; recorded, it runs eagerly."""
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    before = compiled(images)

    with record(model, ALL) as seen:
        during = compiled(images)
    after = compiled(images)

    assert torch.equal(before, after)
    torch.testing.assert_close(during, before)
    assert [len(seen[name]) for name in ALL] == [1, 3, 3, 3, 1]


@pytest.mark.slow
def test_a_model_that_was_compiled_in_place_is_recorded_too(model: ViT, images: Tensor) -> None:
    model.compile(backend="aot_eager", fullgraph=True)
    expected = model(images)

    with record(model, ["blocks"]) as seen:
        model(images)

    assert len(seen["blocks"]) == 3
    assert torch.equal(model(images), expected)


def _hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
